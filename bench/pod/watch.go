package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/sides"
)

// A sight is what the watch showed of a pod, and when.
type sight struct {
	name  string
	ready bool // Running and Ready
	gone  bool
	at    time.Time
	state string
}

// A watch follows all pods of one side.
type watch struct {
	side   *sides.Side
	client *http.Client
	seen   chan sight
	stop   context.CancelFunc
}

func follow(ctx context.Context, s *sides.Side) (*watch, error) {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{side: s, client: s.Client(false), seen: make(chan sight, 1000), stop: stop}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+sides.PodsPath+"?watch=true", nil)
	if err != nil {
		stop()
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer resp.Body.Close()
		defer close(w.seen)
		for d := json.NewDecoder(resp.Body); ; {
			var e struct {
				Type   string
				Object corev1.Pod
			}
			if err := d.Decode(&e); err != nil {
				return
			}
			w.seen <- sight{e.Object.Name, sides.PodReady(&e.Object), e.Type == "DELETED", time.Now(), state(&e.Object)}
		}
	}()
	return w, nil
}

func (w *watch) close() {
	w.stop()
	w.client.CloseIdleConnections()
}

// state tells why a pod is not ready.
func state(p *corev1.Pod) string {
	s := string(p.Status.Phase)
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			s += " " + c.State.Waiting.Reason + " " + c.State.Waiting.Message
		}
	}
	return s
}

// await returns when the pod has been seen as wanted.
func (w *watch) await(name string, patience time.Duration, want func(sight) bool) (time.Time, error) {
	last := "not seen"
	for deadline := time.After(patience); ; {
		select {
		case s, ok := <-w.seen:
			switch {
			case !ok:
				return time.Time{}, fmt.Errorf("%s: the watch ended", w.side.Name)
			case s.name == name && want(s):
				return s.at, nil
			case s.name == name:
				last = s.state
			}
		case <-deadline:
			return time.Time{}, fmt.Errorf("%s: pod %s: nothing after %v: %s", w.side.Name, name, patience, last)
		}
	}
}

// one creates a pod, awaits it, deletes it and awaits that.
func (w *watch) one(ctx context.Context, name string, patience time.Duration, into *result) error {
	before, err := w.side.Cgroup.CPU()
	if err != nil {
		return err
	}
	own, began := sides.Own(), time.Now()
	if err := w.create(ctx, name); err != nil {
		return err
	}
	at, err := w.await(name, patience, func(s sight) bool { return s.ready })
	if err != nil {
		return err
	}
	into.one = append(into.one, at.Sub(began))
	began = time.Now()
	if err := w.delete(ctx, name); err != nil {
		return err
	}
	if at, err = w.await(name, patience, func(s sight) bool { return s.gone }); err != nil {
		return err
	}
	into.gone = append(into.gone, at.Sub(began))
	into.client += sides.Own() - own
	settle()
	after, err := w.side.Cgroup.CPU()
	into.cpu += after - before
	return err
}

// settle lets the node finish what nobody waits for, so that it counts for its own pod and disturbs no other.
func settle() { time.Sleep(200 * time.Millisecond) }

// burst creates n pods at once, awaits all and deletes them.
func (w *watch) burst(ctx context.Context, n int, into *result) error {
	before, err := w.side.Cgroup.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	waiting := map[string]bool{}
	for i := range n {
		name := fmt.Sprintf("burst-%d", i)
		if err := w.create(ctx, name); err != nil {
			return err
		}
		waiting[name] = true
	}
	times, err := w.all(waiting, func(s sight) bool { return s.ready })
	if err != nil {
		return err
	}
	for i := range times {
		times[i] -= time.Duration(began.UnixNano())
	}
	into.burst, into.burstMedian = times[n-1], measure.Median(times)
	settle()
	after, err := w.side.Cgroup.CPU()
	if err != nil {
		return err
	}
	into.burstCPU = after - before
	if into.now, into.peak, err = w.side.Memory(); err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("burst-%d", i)
		if err := w.delete(ctx, name); err != nil {
			return err
		}
		waiting[name] = true
	}
	_, err = w.all(waiting, func(s sight) bool { return s.gone })
	return err
}

// all returns when each of waiting has been seen as wanted: the times, since 1970, in order.
func (w *watch) all(waiting map[string]bool, want func(sight) bool) (at []time.Duration, err error) {
	for deadline := time.After(3 * time.Minute); len(waiting) > 0; {
		select {
		case s, ok := <-w.seen:
			if !ok {
				return nil, fmt.Errorf("%s: the watch ended", w.side.Name)
			}
			if waiting[s.name] && want(s) {
				delete(waiting, s.name)
				at = append(at, time.Duration(s.at.UnixNano()))
			}
		case <-deadline:
			return nil, fmt.Errorf("%s: %d pods are left after 3 minutes", w.side.Name, len(waiting))
		}
	}
	return at, nil
}

func (w *watch) create(ctx context.Context, name string) error {
	return w.side.Do(ctx, w.client, http.MethodPost, sides.PodsPath, sides.Pod(name))
}

func (w *watch) delete(ctx context.Context, name string) error {
	return w.side.Do(ctx, w.client, http.MethodDelete, sides.PodsPath+"/"+name, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":1}`)
}
