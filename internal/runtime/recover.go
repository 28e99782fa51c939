package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/shim"
)

// recover runs once before the socket opens: it brings the kernel to what the ledger says. What a dead agent had half
// made is undone, because no client knows it; what it had half removed is removed; what runs is adopted. After a reboot
// nothing runs, and the records say so. What cannot be mended now is logged and tried again, see mending.
func (s *Server) recover(ctx context.Context) error {
	if err := pin.Room(s.cfg.RunDir); err != nil {
		return err
	}
	if err := s.makeMountPoints(); err != nil {
		return err
	}
	if err := s.ensureShim(ctx); err != nil {
		return err
	}
	s.net.open(ctx, s.cfg.Network) // a failure shows in Status and is tried again with the first pod
	if _, err := s.reconcile(ctx); err != nil {
		return err
	}
	for _, p := range s.sandboxes.All() {
		if err := s.unfinished(p.ID, s.mendSandbox(ctx, p)); err != nil {
			s.log.Error("sandbox could not be mended", "sandbox", p.ID, "err", err)
		}
	}
	return s.sweep(ctx)
}

// reconcile compares every container of the ledger with the shim's and returns where the shim's events go on.
func (s *Server) reconcile(ctx context.Context) (seq uint64, err error) {
	states, seq, err := s.shim.Load().List(ctx)
	if err != nil {
		return 0, err
	}
	seen := map[string]*shim.ContainerState{}
	for i := range states {
		seen[states[i].ID] = &states[i]
	}
	for _, c := range s.containers.All() {
		if err := s.unfinished(c.ID, s.mendContainer(ctx, c, seen[c.ID])); err != nil {
			s.log.Error("container could not be mended", "container", c.ID, "err", err)
		}
		delete(seen, c.ID)
	}
	return seq, s.dropStrangers(ctx, seen)
}

// mendContainer is one comparison: the record against what the shim had when it was asked (nil: nothing).
func (s *Server) mendContainer(ctx context.Context, c *ledger.Container, seen *shim.ContainerState) error {
	if c.Intent == ledger.Making || c.Intent == ledger.Gone {
		return s.finishRemoval(ctx, c.ID)
	}
	switch {
	case c.State() == api.ContainerState_CONTAINER_EXITED:
		return s.settle(ctx, c.ID, nil) // frees what was not freed
	case seen != nil && seen.Status == shim.Exited:
		return s.settle(ctx, c.ID, seen)
	case seen != nil && seen.Status == shim.Running && c.State() == api.ContainerState_CONTAINER_CREATED:
		return s.adopt(ctx, c.ID, seen)
	case seen == nil && c.State() == api.ContainerState_CONTAINER_RUNNING:
		return s.settleLost(ctx, c.ID)
	}
	return nil
}

// settleLost records the end of a container that the shim did not list, unless it was only started after the list.
func (s *Server) settleLost(ctx context.Context, id string) error {
	st, err := s.shim.Load().State(ctx, id)
	switch {
	case errors.Is(err, shim.ErrNotFound):
		return s.settle(ctx, id, nil)
	case err != nil:
		return err
	case st.Status == shim.Exited:
		return s.settle(ctx, id, &st)
	}
	return nil
}

// finishRemoval removes a container that nobody knows, unless a verb that runs right now is at it.
func (s *Server) finishRemoval(ctx context.Context, id string) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c := s.containers.Get(id)
	if c == nil || c.Intent == ledger.Kept {
		return nil
	}
	return s.eraseContainer(ctx, c)
}

// adopt records a start that was not recorded any more.
func (s *Server) adopt(ctx context.Context, id string, seen *shim.ContainerState) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c := s.containers.Get(id)
	if c == nil || c.State() != api.ContainerState_CONTAINER_CREATED {
		return nil
	}
	running := *c
	running.Started, running.PID = seen.StartedAt, seen.Pid
	return s.containers.Put(id, &running)
}

// dropStrangers ends what the shim has and no record names: inits of sandboxes are not containers, all else is debris.
func (s *Server) dropStrangers(ctx context.Context, seen map[string]*shim.ContainerState) error {
	for _, p := range s.sandboxes.All() {
		delete(seen, initID(p.ID))
	}
	var failed []error
	for id := range seen {
		if s.containers.Get(id) != nil {
			continue
		}
		failed = append(failed, s.shim.Load().Delete(ctx, id))
	}
	return errors.Join(failed...)
}

// mendSandbox finishes what was begun. A sandbox of an earlier boot lost everything but its record, and is stopped.
func (s *Server) mendSandbox(ctx context.Context, p *ledger.Sandbox) error {
	switch {
	case p.Intent == ledger.Making || p.Intent == ledger.Gone:
		unlock, err := s.locks.lock(ctx, p.ID)
		if err != nil {
			return err
		}
		defer unlock()
		if p = s.sandboxes.Get(p.ID); p == nil || p.Intent != ledger.Making && p.Intent != ledger.Gone {
			return nil
		}
		return s.eraseSandbox(ctx, p)
	case p.Intent == ledger.Stopped || !s.ready(p):
		return s.stopSandbox(ctx, p.ID)
	}
	return nil
}

// sweep removes directories and networks that no record names: records go last, so these are from before a restore of
// the ledger or a torn record.
func (s *Server) sweep(ctx context.Context) error {
	alive := map[string]bool{}
	for _, p := range s.sandboxes.All() {
		if p.Intent == ledger.Kept {
			alive[p.ID] = true
		}
	}
	failed := []error{s.cfg.Network.Sweep(ctx, alive)}
	known := func(id string) bool { return s.containers.Get(id) != nil }
	failed = append(failed, sweepDir(filepath.Join(s.cfg.Root, "containers"), known))
	failed = append(failed, sweepDir(filepath.Join(s.cfg.Root, "layers"), func(name string) bool {
		return slices.ContainsFunc(s.containers.All(), func(c *ledger.Container) bool { return c.Config.GetAnnotations()[Layer] == name })
	}))
	failed = append(failed, sweepDir(filepath.Join(s.cfg.RunDir, "containers"), known))
	failed = append(failed, sweepDir(filepath.Join(s.cfg.RunDir, "sandboxes"), func(id string) bool { return s.sandboxes.Get(id) != nil }))
	if err := errors.Join(failed...); err != nil {
		s.log.Error("debris could not be swept away", "err", err)
		s.mending.later(links, linksPause)
	}
	return nil
}

func sweepDir(dir string, known func(string) bool) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	var failed []error
	for _, e := range entries {
		if known(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if err := pin.UnmountBelow(path); err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, os.RemoveAll(path))
	}
	return errors.Join(failed...)
}
