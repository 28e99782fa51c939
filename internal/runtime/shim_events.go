package runtime

import (
	"context"
	"fmt"
	"sync"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/shim"
)

// health is whether the shim answers; Status reports it.
type health struct {
	mu  sync.Mutex
	err error
}

func (h *health) set(err error) { h.mu.Lock(); h.err = err; h.mu.Unlock() }

func (h *health) get() error { h.mu.Lock(); defer h.mu.Unlock(); return h.err }

// follow hears from the shim what happens to containers until ctx ends. Where the stream breaks for good (events were
// missed, shim and keeper both died) it ensures a shim, compares all containers with the ledger and goes on from there.
func (s *Server) follow(ctx context.Context, scope *run.Scope) error {
	seq, err := s.reconcile(ctx)
	for wait := 50 * time.Millisecond; ; {
		if err == nil {
			s.health.set(nil)
			wait = 50 * time.Millisecond
			err = s.shim.Load().Events(ctx, seq, func(e shim.Event) error { s.heard(scope, e); return nil })
		}
		if ctx.Err() != nil {
			return nil
		}
		s.health.set(err)
		s.log.Warn("lost the shim's events", "err", err)
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(2*wait, 5*time.Second)
		if err = s.ensureShim(ctx); err == nil {
			seq, err = s.reconcile(ctx)
		}
	}
}

// ensureShim connects to the shim that runs, or starts one.
func (s *Server) ensureShim(ctx context.Context) error {
	c, err := shim.Ensure(ctx, s.cfg.Shim)
	if err != nil {
		return fmt.Errorf("start the shim: %w", err)
	}
	if old := s.shim.Swap(c); old != nil {
		return old.Close()
	}
	return nil
}

// heard acts on what matters to the ledger. Exits are recorded side by side, since each waits for its own container.
func (s *Server) heard(scope *run.Scope, e shim.Event) {
	if e.Kind != shim.EventExited || e.Container == nil {
		return
	}
	state := *e.Container
	scope.Go("record exit", func(ctx context.Context) error { s.insist(ctx, state); return nil })
}

// insist records an exit and tries again while the disk refuses it: an exit must not be lost.
func (s *Server) insist(ctx context.Context, state shim.ContainerState) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		err := s.settle(ctx, state.ID, &state)
		if err == nil {
			return
		}
		s.log.Error("cannot record the end of a container", "container", state.ID, "err", err)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// settle records the end of a container as the shim saw it, or as unknown where the shim has lost it (nil), frees what a
// dead container does not need, and tells everyone. Settling twice changes nothing.
func (s *Server) settle(ctx context.Context, id string, seen *shim.ContainerState) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	rec := s.containers.Get(id)
	if rec == nil {
		return nil
	}
	if rec.Finished.IsZero() {
		ended := *rec
		recordEnd(&ended, seen, time.Now())
		if err := s.containers.Put(id, &ended); err != nil {
			return err
		}
		rec = &ended
		s.exits.announce(id)
		s.announceContainer(id, api.ContainerEventType_CONTAINER_STOPPED_EVENT, ended.Finished)
	}
	if err := s.reach("exit recorded"); err != nil {
		return err
	}
	if mounted, err := pin.IsMount(s.cfg.rootfs(id)); !mounted && err == nil {
		return nil // the root goes last, so all has been freed
	}
	return down(s, ctx, containerSteps, rec, false)
}

// recordEnd writes down how a container ended, with the reasons that a kubelet shows.
func recordEnd(c *ledger.Container, seen *shim.ContainerState, now time.Time) {
	if seen == nil {
		c.Finished, c.ExitCode, c.Reason = now, 255, "Unknown"
		c.Message = "the container's process is gone and nobody saw how it ended"
	} else {
		c.Finished, c.ExitCode, c.Message = seen.FinishedAt, int32(seen.ExitCode), seen.Reason
		if c.Started.IsZero() {
			c.Started = seen.StartedAt
		}
		switch {
		case seen.OOMKilled:
			c.Reason = "OOMKilled"
		case seen.ExitCode == 0:
			c.Reason = "Completed"
		default:
			c.Reason = "Error"
		}
	}
	if c.Finished.IsZero() {
		c.Finished = now
	}
	if c.Started.IsZero() {
		c.Started = c.Created
	}
	c.PID = 0
}

// sleep reports whether the whole time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
