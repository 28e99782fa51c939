package runtime

import (
	"context"
	"fmt"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// RemovePodSandbox ends whatever runs in the sandbox and removes it with its containers. An unknown sandbox is no error.
func (s *Server) RemovePodSandbox(ctx context.Context, r *api.RemovePodSandboxRequest) (*api.RemovePodSandboxResponse, error) {
	rec, err := s.sandbox(r.GetPodSandboxId())
	if isNotFound(err) {
		return &api.RemovePodSandboxResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.stopSandbox(ctx, rec.ID); err != nil {
		return nil, fmt.Errorf("remove sandbox %s: %w", rec.ID, err)
	}
	unlock, err := s.locks.lock(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if rec = s.sandboxes.Get(rec.ID); rec == nil {
		return &api.RemovePodSandboxResponse{}, nil
	}
	if err := s.eraseSandbox(ctx, rec); err != nil {
		return nil, fmt.Errorf("remove sandbox %s: %w", rec.ID, err)
	}
	s.announceSandbox(rec, api.ContainerEventType_CONTAINER_DELETED_EVENT, time.Now())
	return &api.RemovePodSandboxResponse{}, nil
}

// eraseSandbox undoes all steps and forgets the sandbox last. The caller holds the sandbox's lock. Where something
// cannot be undone the record stays and says Gone, and it is tried again, see mending.
func (s *Server) eraseSandbox(ctx context.Context, rec *ledger.Sandbox) error {
	gone := *rec
	if rec.Intent != ledger.Gone {
		gone.Intent = ledger.Gone
		if err := s.sandboxes.Note(rec.ID, &gone); err != nil {
			return err
		}
	}
	return s.unfinished(rec.ID, s.dismantleSandbox(ctx, &gone))
}

func (s *Server) dismantleSandbox(ctx context.Context, gone *ledger.Sandbox) error {
	if err := s.reach("removal recorded"); err != nil {
		return err
	}
	unlock, err := s.locks.lock(ctx, reserving(gone.ID)) // who reserves after this finds the sandbox gone
	if err != nil {
		return err
	}
	unlock()
	if err := s.eachContainer(gone.ID, func(c *ledger.Container) error { return s.removeContainer(ctx, c.ID) }); err != nil {
		return err
	}
	if err := down(s, ctx, sandboxSteps, gone, true); err != nil {
		return err
	}
	s.samples.forget(gone.ID)
	return s.sandboxes.Delete(gone.ID)
}
