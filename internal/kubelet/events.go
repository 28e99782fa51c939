package kubelet

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/seen"
)

// relistPeriod is how often a runtime without an event stream is asked what has changed.
const relistPeriod = time.Second

// followEvents wakes the workers of pods that the runtime has news of. While the stream is broken, and for runtimes that
// have none, it lists and compares instead.
func (k *Kubelet) followEvents(ctx context.Context) error {
	r := &relister{k: k, states: map[string]state{}}
	for ctx.Err() == nil {
		began := time.Now()
		err := k.stream(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if cri.IsUnimplemented(err) {
			k.cfg.Log.Info("the container runtime has no event stream, listing instead", "period", relistPeriod)
			return r.forever(ctx)
		}
		k.cfg.Log.Debug("container event stream ended", "err", err, "after", time.Since(began))
		select {
		case <-time.After(relistPeriod / 10):
		case <-ctx.Done():
		}
	}
	return nil
}

// stream follows one event stream to its end. Everything is looked at once when it has begun, for what fell in between.
func (k *Kubelet) stream(ctx context.Context) error {
	events, err := k.cfg.CRI.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
	if err != nil {
		return err
	}
	k.staleAll()
	// A runtime says that it listens by the header, and others with their first event: what came about before, after the look
	// above, nobody tells.
	if _, err := events.Header(); err == nil {
		k.staleAll()
	}
	for {
		e, err := events.Recv()
		if err != nil {
			return err
		}
		if e.GetPodSandboxStatus().GetMetadata().GetUid() != "" {
			k.hear(e)
		} else {
			k.staleOwner(e.ContainerId)
		}
	}
}

func (k *Kubelet) stale(uid types.UID) {
	if w := k.worker(uid); w != nil {
		w.note(func() { w.stale = true })
	}
}

func (k *Kubelet) all() []*worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]*worker, 0, len(k.workers))
	for _, w := range k.workers {
		list = append(list, w)
	}
	return list
}

func (k *Kubelet) staleAll() {
	for _, w := range k.all() {
		w.note(func() { w.stale = true })
	}
}

// staleOwner serves runtimes whose events name only a container or sandbox.
func (k *Kubelet) staleOwner(id string) {
	k.mu.Lock()
	uid, ok := k.owners[id]
	k.mu.Unlock()
	if !ok {
		k.staleAll()
		return
	}
	k.stale(uid)
}

// own notes whose the containers and sandboxes of an observation are; disown forgets them when the worker ends.
func (k *Kubelet) own(p seen.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range p.Sandboxes {
		k.owners[s.ID] = p.UID
	}
	for _, c := range p.Containers {
		k.owners[c.ID] = p.UID
	}
}

func (k *Kubelet) disown(uid types.UID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, owner := range k.owners {
		if owner == uid {
			delete(k.owners, id)
		}
	}
}

// state is what a list tells of a sandbox or container.
type state struct {
	pod   types.UID
	value int32
}

// relister compares lists.
type relister struct {
	k      *Kubelet
	states map[string]state
}

func (r *relister) forever(ctx context.Context) error {
	tick := time.NewTicker(relistPeriod)
	defer tick.Stop()
	for {
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			r.k.cfg.Log.Warn("cannot list containers", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *relister) once(ctx context.Context) error {
	boxes, err := r.k.cfg.CRI.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	list, err := r.k.cfg.CRI.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return err
	}
	now := make(map[string]state, len(boxes.Items)+len(list.Containers))
	for _, b := range boxes.Items {
		now[b.Id] = state{types.UID(b.Labels[seen.PodUID]), int32(b.State)}
	}
	for _, c := range list.Containers {
		now[c.Id] = state{types.UID(c.Labels[seen.PodUID]), int32(c.State)}
	}
	changed := map[types.UID]bool{}
	for id, s := range now {
		if r.states[id] != s {
			changed[s.pod] = true
		}
	}
	for id, s := range r.states {
		if _, ok := now[id]; !ok {
			changed[s.pod] = true
		}
	}
	r.states = now
	for uid := range changed {
		r.k.stale(uid)
	}
	return nil
}
