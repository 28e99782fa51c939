package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/shim"
)

// StartContainer runs a created container's process. Where the process cannot be made (no such program, a mount that
// fails) the container is exited with code 128 and reason StartError, as other runtimes report it.
func (s *Server) StartContainer(ctx context.Context, r *api.StartContainerRequest) (*api.StartContainerResponse, error) {
	rec, err := s.container(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	unlock, err := s.locks.lock(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if rec, err = s.container(rec.ID); err != nil {
		return nil, err
	}
	if rec.Intent != ledger.Kept || rec.State() != api.ContainerState_CONTAINER_CREATED {
		return nil, precondition("container %s is in state %s (%s), not CONTAINER_CREATED", rec.ID, rec.State(), rec.Intent)
	}
	p := s.sandboxes.Get(rec.Sandbox)
	if p == nil || !s.ready(p) {
		return nil, precondition("container %s: sandbox %s is not ready", rec.ID, rec.Sandbox)
	}
	if err := s.startProcess(ctx, rec); err != nil {
		return nil, fmt.Errorf("start container %q: %w", rec.Config.GetMetadata().GetName(), err)
	}
	s.announceContainer(rec.ID, api.ContainerEventType_CONTAINER_STARTED_EVENT, time.Now())
	return &api.StartContainerResponse{}, nil
}

// startProcess makes and runs the process and records it. The caller holds the container's lock.
func (s *Server) startProcess(ctx context.Context, rec *ledger.Container) error {
	program, err := s.programOf(rec)
	if err != nil {
		return err
	}
	client := s.shim.Load()
	pid, err := client.Run(ctx, shim.CreateRequest{ID: rec.ID, Bundle: s.cfg.bundleDir(rec.ID), LogPath: rec.LogPath, Runtime: program,
		Stdin: rec.Config.GetStdin(), StdinOnce: rec.Config.GetStdinOnce(), KeepEarly: rec.Config.GetAnnotations()[KeepEarly] != "",
		LogMaxSize: logMaxSize(rec.Config.GetAnnotations()), LogMaxFiles: logFiles})
	if errors.Is(err, shim.ErrCreate) {
		return errors.Join(err, s.recordStartError(context.WithoutCancel(ctx), rec, err))
	}
	if err != nil {
		return err // nothing is known to have failed for good: the start may be asked for again
	}
	if err := s.reach("process started"); err != nil {
		return err
	}
	running := *rec
	running.PID, running.Started = pid, time.Now()
	return s.containers.Put(rec.ID, &running)
}

// recordStartError makes the container exited without ever having run.
func (s *Server) recordStartError(ctx context.Context, rec *ledger.Container, why error) error {
	failed := *rec
	now := time.Now()
	failed.Started, failed.Finished, failed.ExitCode, failed.Reason, failed.Message = now, now, 128, "StartError", why.Error()
	if err := s.containers.Put(rec.ID, &failed); err != nil {
		return err
	}
	s.exits.announce(rec.ID)
	s.announceContainer(rec.ID, api.ContainerEventType_CONTAINER_STOPPED_EVENT, now)
	return down(s, ctx, containerSteps, &failed, false)
}
