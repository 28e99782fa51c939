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
	if err := s.unfinished(id, s.lowerSandbox(ctx, rec)); err != nil {
		return err
	}
	if wasReady {
		s.announceSandbox(rec, api.ContainerEventType_CONTAINER_STOPPED_EVENT, time.Now())
	}
	return nil
}

// lowerSandbox takes away what a stopped sandbox has no use for. The caller holds the sandbox's lock.
func (s *Server) lowerSandbox(ctx context.Context, rec *ledger.Sandbox) error {
	if err := s.reach("stop recorded"); err != nil {
		return err
	}
	if err := s.eachContainer(rec.ID, func(c *ledger.Container) error { return s.silence(ctx, c.ID) }); err != nil {
		return err
	}
	gone := *rec
	if err := down(s, ctx, sandboxSteps, &gone, false); err != nil {
		return err
	}
	if !hostNetwork(rec.Config.PodSandboxConfig) {
		s.mending.later(links, linksPause)
	}
	return nil
}

// silence ends a container of a stopped sandbox. A start that is under way holds the container's lock and is waited for,
// and none comes after it. A process that was made and not started, or whose start the client gave up, goes too: a pod's
// cgroup is removed after this, and whatever still came up in it would make it anew.
func (s *Server) silence(ctx context.Context, id string) error {
	if err := s.endUnstarted(ctx, id); err != nil {
		return err
	}
	return s.stopContainer(ctx, id, 0)
}

func (s *Server) endUnstarted(ctx context.Context, id string) error {
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	rec := s.containers.Get(id)
	if rec == nil || rec.State() != api.ContainerState_CONTAINER_CREATED {
		return nil
	}
	return down(s, ctx, containerSteps, rec, false)
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
