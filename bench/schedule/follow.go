package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"minato.dev/minato/bench/sides"
)

// A follower counts the pods that are bound, as a watch shows them.
type follower struct {
	side   *sides.Side
	client *http.Client
	bound  chan time.Time // one for each pod
	stop   context.CancelFunc
	last   time.Time
}

// follow watches the pods that have a node. A server may end a watch when it likes: it is begun again then.
func follow(ctx context.Context, s *sides.Side) (*follower, error) {
	ctx, stop := context.WithCancel(ctx)
	f := &follower{side: s, client: s.Client(false), bound: make(chan time.Time, 100000), stop: stop}
	body, err := f.watch(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(f.bound)
		for seen := map[string]bool{}; ; {
			f.read(body, seen)
			if ctx.Err() != nil {
				return
			}
			if body, err = f.watch(ctx); err != nil {
				return
			}
		}
	}()
	return f, nil
}

func (f *follower) watch(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.side.URL+sides.PodsPath+"?watch=true&fieldSelector=spec.nodeName!%3D", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: watch: %s", f.side.Name, resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

// read tells of each pod that it sees for the first time, until the watch ends.
func (f *follower) read(body io.ReadCloser, seen map[string]bool) {
	defer body.Close()
	for lines := bufio.NewReaderSize(body, 1<<20); ; {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return
		}
		if name := added(line); name != "" && !seen[name] {
			seen[name] = true
			f.bound <- time.Now()
		}
	}
}

// added is the name of the pod that a line of the watch shows as new, else "". To decode each line would cost more than
// the servers.
func added(line []byte) string {
	if !bytes.HasPrefix(line, []byte(`{"type":"ADDED"`)) {
		return ""
	}
	_, rest, _ := bytes.Cut(line, []byte(`"name":"`))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(name)
}

func (f *follower) close() {
	f.stop()
	f.client.CloseIdleConnections()
}

// await returns when n more pods have been bound, with the figures of those after the first skip; where they come all at
// once at the beginning, because they were bound before the watch began, those are skipped too.
func (f *follower) await(ctx context.Context, n, skip int) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var from time.Time
	var l load
	counted := n - skip
	note := func() error {
		from = time.Now()
		cpu, err := f.side.Cgroup.CPU()
		l.cpu, l.client = cpu, sides.Own()
		return err
	}
	if skip == 0 {
		if err := note(); err != nil {
			return l, err
		}
	}
	for i := range n {
		select {
		case at, ok := <-f.bound:
			if !ok {
				return l, fmt.Errorf("%s: the watch ended", f.side.Name)
			}
			f.last = at
		case <-ctx.Done():
			return l, fmt.Errorf("%s: %d of %d pods are bound: %w", f.side.Name, i, n, ctx.Err())
		}
		if from.IsZero() && i+1 >= skip && len(f.bound) == 0 {
			counted = n - i - 1
			if err := note(); err != nil {
				return l, err
			}
		}
	}
	cpu, err := f.side.Cgroup.CPU()
	if err != nil || counted == 0 {
		return l, err
	}
	l.cpu, l.client, l.rate = cpu-l.cpu, sides.Own()-l.client, float64(counted)/f.last.Sub(from).Seconds()
	l.pods = counted
	return l, nil
}

func (f *follower) create(ctx context.Context, name string) error {
	body, err := sides.PendingPod(name)
	if err != nil {
		return err
	}
	return f.side.Do(ctx, f.client, http.MethodPost, sides.PodsPath, body)
}
