package runtime

import (
	"context"
	"fmt"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// RemoveContainer ends the container if it runs and removes it with its writable layer. Its log stays with the kubelet.
// An unknown container is no error.
func (s *Server) RemoveContainer(ctx context.Context, r *api.RemoveContainerRequest) (*api.RemoveContainerResponse, error) {
	rec, err := s.container(r.GetContainerId())
	if isNotFound(err) {
		return &api.RemoveContainerResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.removeContainer(ctx, rec.ID); err != nil {
		return nil, fmt.Errorf("remove container %s: %w", rec.ID, err)
	}
	return &api.RemoveContainerResponse{}, nil
}

func (s *Server) removeContainer(ctx context.Context, id string) error {
	if err := s.stopContainer(ctx, id, 0); err != nil {
		return err
	}
	unlock, err := s.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	rec := s.containers.Get(id)
	if rec == nil {
		return nil
	}
	event := s.containerEvent(rec, api.ContainerEventType_CONTAINER_DELETED_EVENT, time.Now())
	if err := s.eraseContainer(ctx, rec); err != nil {
		return err
	}
	s.events.publish(event)
	return nil
}

// eraseContainer undoes all steps and forgets the container last. The caller holds the container's lock.
func (s *Server) eraseContainer(ctx context.Context, rec *ledger.Container) error {
	gone := *rec
	if rec.Intent != ledger.Gone {
		gone.Intent = ledger.Gone
		if err := s.containers.Note(rec.ID, &gone); err != nil {
			return err
		}
	}
	return s.unfinished(rec.ID, s.dismantleContainer(ctx, &gone))
}

func (s *Server) dismantleContainer(ctx context.Context, gone *ledger.Container) error {
	if err := s.reach("container removal recorded"); err != nil {
		return err
	}
	if err := down(s, ctx, containerSteps, gone, true); err != nil {
		return err
	}
	s.samples.forget(gone.ID)
	s.exits.announce(gone.ID)
	return s.containers.Delete(gone.ID)
}
