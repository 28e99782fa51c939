package runtime

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/shim"
)

// StopContainer asks the process to end and kills it with all its children after the timeout. A container that does not
// run, or is unknown, is stopped already.
func (s *Server) StopContainer(ctx context.Context, r *api.StopContainerRequest) (*api.StopContainerResponse, error) {
	rec, err := s.container(r.GetContainerId())
	if isNotFound(err) {
		return &api.StopContainerResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.stopContainer(ctx, rec.ID, time.Duration(r.GetTimeout())*time.Second); err != nil {
		return nil, fmt.Errorf("stop container %s: %w", rec.ID, err)
	}
	return &api.StopContainerResponse{}, nil
}

// stopContainer does not hold the container's lock while it waits: the exit is recorded under it.
func (s *Server) stopContainer(ctx context.Context, id string, grace time.Duration) error {
	ended := s.exits.subscribe(id)
	defer s.exits.unsubscribe(id, ended)
	if err := s.acknowledge(ctx, id); err != nil {
		return err
	}
	rec := s.containers.Get(id)
	if rec == nil || rec.State() != api.ContainerState_CONTAINER_RUNNING {
		return nil
	}
	if grace > 0 {
		sig, err := parseSignal(rec.StopWith)
		if err != nil {
			return err
		}
		if gone, err := s.signal(ctx, rec, sig, false); gone || err != nil {
			return err
		}
		if done, err := waitFor(ctx, ended, grace); done || err != nil {
			return err
		}
	}
	if gone, err := s.signal(ctx, rec, syscall.SIGKILL, true); gone || err != nil {
		return err
	}
	return s.awaitEnd(ctx, rec)
}

// acknowledge records a start that its client gave up and that happened nevertheless.
func (s *Server) acknowledge(ctx context.Context, id string) error {
	rec := s.containers.Get(id)
	if rec == nil || rec.State() != api.ContainerState_CONTAINER_CREATED {
		return nil
	}
	st, err := s.shim.Load().State(ctx, id)
	switch {
	case errors.Is(err, shim.ErrNotFound):
		return nil
	case err != nil:
		return err
	case st.Status == shim.Running:
		return s.adopt(ctx, id, &st)
	case st.Status == shim.Exited:
		return s.settle(ctx, id, &st)
	}
	return nil
}

// awaitEnd asks the shim itself instead of waiting for its event, which may be long in coming while much else happens,
// and is not heard at all before the runtime serves.
func (s *Server) awaitEnd(ctx context.Context, rec *ledger.Container) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killWait, fmt.Errorf("process %d is still there %v after SIGKILL", rec.PID, killWait))
	defer cancel()
	st, err := s.shim.Load().Wait(ctx, rec.ID)
	if errors.Is(err, shim.ErrNotFound) {
		return s.settle(ctx, rec.ID, nil)
	}
	if err != nil {
		return err
	}
	return s.settle(ctx, rec.ID, &st)
}

// killWait is how long the kernel may take to end a process that was killed.
const killWait = time.Minute

// signal reports whether the shim has no such container any more; then its end is recorded here, as lost.
func (s *Server) signal(ctx context.Context, rec *ledger.Container, sig syscall.Signal, all bool) (gone bool, err error) {
	err = s.shim.Load().Signal(ctx, rec.ID, sig, all)
	if errors.Is(err, shim.ErrNotFound) {
		return true, s.settle(ctx, rec.ID, nil)
	}
	return false, err
}

func waitFor(ctx context.Context, c <-chan struct{}, d time.Duration) (bool, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
