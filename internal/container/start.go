package container

import (
	"context"
	"errors"
	"os"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Start runs the created container's process.
func (e *Engine) Start(ctx context.Context, c Container) error {
	_, err := e.Runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.ID})
	return plain(err)
}

// Again runs a container that was created or has ended, with what it wrote: its writable layer, volumes and log go on, its
// count of restarts begins anew. One that runs stays as it is. Where attached, its first output is kept for the caller.
//
// In a sandbox that is ready the next container takes the place of the last one. Where that was stopped, or was of an
// earlier boot, a new sandbox is made first, and the old one removed last: until then List shows the old one, and whatever
// an end in between leaves is stale and removed at the next start.
func (e *Engine) Again(ctx context.Context, c Container, attached bool) (Container, error) {
	return e.again(ctx, c, how{attached: attached})
}

// how a container is started again: where counted, the start is the policy's and one of so many.
type how struct{ counted, attached bool }

func (e *Engine) again(ctx context.Context, c Container, h how) (Container, error) {
	unlock, err := e.lock(ctx, c.Spec.Name)
	if err != nil {
		return c, err
	}
	defer unlock()
	now, err := e.locked(ctx, c)
	if err != nil {
		return c, err
	}
	if h.counted && e.Stopped(now) { // meanwhile
		return now, nil
	}
	if err := e.dropStale(ctx, now); err != nil {
		return now, err
	}
	if err := os.Remove(e.stoppedFile(c.Spec.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return now, err
	}
	switch {
	case now.Running():
		return now, nil
	case now.Ready && now.ID != "" && !now.Exited():
		return now, e.Start(ctx, now)
	case now.Ready && now.ID != "":
		return e.nextContainer(ctx, now, h)
	}
	return e.nextSandbox(ctx, now, h)
}

// Stopped reports whether a user has stopped c since its last start.
func (e *Engine) Stopped(c Container) bool {
	_, err := os.Stat(e.stoppedFile(c.Spec.Name))
	return err == nil
}

// nextContainer puts a new container into the place of one that ended.
func (e *Engine) nextContainer(ctx context.Context, c Container, h how) (Container, error) {
	box, err := c.Spec.sandbox(e, c.turn)
	if err != nil {
		return c, err
	}
	next := c
	next.Attempt++
	made, err := e.Runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: c.Sandbox, Config: c.Spec.container(next.Attempt, h.attached), SandboxConfig: box})
	if err != nil {
		return c, plain(err)
	}
	next.ID = made.ContainerId
	err = e.Start(ctx, next)
	_, gone := e.Runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: c.ID})
	return next, errors.Join(err, plain(gone))
}

// nextSandbox makes a sandbox and a container in it, starts that, and removes what was before.
func (e *Engine) nextSandbox(ctx context.Context, c Container, h how) (Container, error) {
	s, attempt := c.Spec, uint32(0)
	if h.counted {
		attempt = c.Attempt + 1
	}
	held, err := e.Volumes.use(ctx, &s)
	if err != nil {
		return c, err
	}
	defer held()
	next, err := e.make(ctx, s, c.turn+1, attempt, h)
	if err != nil {
		now, lost := e.Find(context.WithoutCancel(ctx), s.Name)
		if lost == nil {
			lost = e.dropStale(context.WithoutCancel(ctx), now)
		}
		return c, errors.Join(err, lost)
	}
	err = e.Start(ctx, next)
	_, gone := e.Runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: c.Sandbox})
	return next, errors.Join(err, plain(gone))
}

// dropStale removes the sandboxes that an interrupted start has left.
func (e *Engine) dropStale(ctx context.Context, c Container) error {
	for _, id := range c.stale {
		if _, err := e.Runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
			return plain(err)
		}
	}
	return nil
}
