package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// StopPodSandbox ends the pod's containers and gives back its network and namespaces. Stopping twice, or an unknown
// sandbox, is no error.
func (s *Server) StopPodSandbox(ctx context.Context, r *api.StopPodSandboxRequest) (*api.StopPodSandboxResponse, error) {
	rec, err := s.sandbox(r.GetPodSandboxId())
	if isNotFound(err) {
		return &api.StopPodSandboxResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.stopSandbox(ctx, rec.ID); err != nil {
		return nil, fmt.Errorf("stop sandbox %s: %w", rec.ID, err)
	}
	return &api.StopPodSandboxResponse{}, nil
}

func (s *Server) stopSandbox(ctx context.Context, id string) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	rec := s.sandboxes.Get(id)
	if rec == nil {
		return nil
	}
	wasReady := rec.Intent == ledger.Kept
	if rec.Intent == ledger.Making || rec.Intent == ledger.Kept {
		stopped := *rec
		stopped.Intent = ledger.Stopped
		if err := s.sandboxes.Note(id, &stopped); err != nil {
			return err
		}
		rec = &stopped
	}
	if err := s.reach("stop recorded"); err != nil {
		return err
	}
	if err := s.eachContainer(id, func(c *ledger.Container) error { return s.stopContainer(ctx, c.ID, 0) }); err != nil {
		return err
	}
	gone := *rec
	if err := down(s, ctx, sandboxSteps, &gone, false); err != nil {
		return err
	}
	if wasReady {
		s.announceSandbox(rec, api.ContainerEventType_CONTAINER_STOPPED_EVENT, time.Now())
	}
	return nil
}

// eachContainer calls f with the sandbox's containers, all of them, and returns all failures.
func (s *Server) eachContainer(sandbox string, f func(*ledger.Container) error) error {
	var failed []error
	for _, c := range s.containersOf(sandbox) {
		failed = append(failed, f(c))
	}
	return errors.Join(failed...)
}

func (s *Server) containersOf(sandbox string) []*ledger.Container {
	var out []*ledger.Container
	for _, c := range s.containers.All() {
		if c.Sandbox == sandbox {
			out = append(out, c)
		}
	}
	return out
}
