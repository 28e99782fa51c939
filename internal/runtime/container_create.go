package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/runtime/ledger"
)

// CreateContainer makes a container's root file system and specification; its process comes with StartContainer. Asked
// again in the same words before the start, it answers with the same id.
func (s *Server) CreateContainer(ctx context.Context, r *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
	p, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if err := s.checkContainer(p, r.GetConfig()); err != nil {
		return nil, err
	}
	if err := s.checkMountsOf(ctx, p, r.GetConfig()); err != nil {
		return nil, err
	}
	unlockPod, err := s.locks.lock(ctx, reserving(p.ID))
	if err != nil {
		return nil, err
	}
	rec, again, err := s.reserveContainer(p, r.GetConfig())
	unlockPod()
	if err != nil {
		return nil, err
	}
	if again {
		return &api.CreateContainerResponse{ContainerId: rec.ID}, nil
	}
	unlock, err := s.locks.lock(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.raiseContainer(ctx, rec); err != nil {
		return nil, fmt.Errorf("create container %q: %w", r.GetConfig().GetMetadata().GetName(), err)
	}
	s.announceContainer(rec.ID, api.ContainerEventType_CONTAINER_CREATED_EVENT, rec.Created)
	return &api.CreateContainerResponse{ContainerId: rec.ID}, nil
}

// raiseContainer takes the steps and records the outcome; a container that fails is taken down again.
func (s *Server) raiseContainer(ctx context.Context, rec *ledger.Container) error {
	if s.containers.Get(rec.ID) == nil {
		return errors.New("the container was removed meanwhile: ask again")
	}
	work := *rec
	err := up(s, ctx, containerSteps, &work)
	if err == nil {
		err = ctx.Err() // the client has given up and never learns the id
	}
	if err == nil {
		work.Intent = ledger.Kept
		if err = s.containers.Put(rec.ID, &work); err == nil {
			return nil
		}
	}
	if errors.Is(err, errDied) {
		return err
	}
	return errors.Join(err, s.eraseContainer(context.WithoutCancel(ctx), &work))
}

func (s *Server) checkContainer(p *ledger.Sandbox, c *api.ContainerConfig) error {
	switch {
	case c.GetMetadata().GetName() == "":
		return invalid("container config: metadata with name must be given")
	case c.GetImage().GetImage() == "":
		return invalid("container config: image must be given")
	case c.GetStdinOnce() && !c.GetStdin():
		return invalid("container config: stdin_once needs stdin")
	case !s.ready(p):
		return precondition("sandbox %s is not ready", p.ID)
	}
	if logDir := p.Config.GetLogDirectory(); logDir == "" && filepath.IsAbs(c.GetLogPath()) {
		return invalid("container config: log_path %q is below log_directory, which is empty", c.GetLogPath())
	}
	if strings.Contains("/"+c.GetLogPath()+"/", "/../") {
		return invalid("container config: log_path %q leaves the pod's log directory", c.GetLogPath())
	}
	if err := checkContainerUsers(p, c); err != nil {
		return err
	}
	if err := s.checkLayer(c); err != nil {
		return err
	}
	_, err := stopSignal(c, "")
	return err
}

// reserving is the lock of a sandbox's container names.
func reserving(sandbox string) string { return sandbox + "/containers" }

// reserveContainer writes down the intention under a new id. Name and attempt are taken once in a sandbox. The image is
// looked up again once the record names it, since from then on it cannot be removed.
func (s *Server) reserveContainer(p *ledger.Sandbox, c *api.ContainerConfig) (rec *ledger.Container, again bool, err error) {
	if now := s.sandboxes.Get(p.ID); now == nil || now.Intent != ledger.Kept { // it may be on its way out, see eraseSandbox
		return nil, false, precondition("sandbox %s is not ready", p.ID)
	}
	for _, old := range s.containersOf(p.ID) {
		if !proto.Equal(old.Config.GetMetadata(), c.GetMetadata()) {
			continue
		}
		if old.Intent == ledger.Kept && old.State() == api.ContainerState_CONTAINER_CREATED && proto.Equal(old.Config.ContainerConfig, c) {
			return old, true, nil
		}
		return nil, false, &coded{codes.AlreadyExists, fmt.Sprintf("container %q attempt %d exists in sandbox %s as %s",
			c.GetMetadata().GetName(), c.GetMetadata().GetAttempt(), p.ID, old.ID)}
	}
	img, ok := s.cfg.Images.Resolve(c.GetImage().GetImage())
	if !ok {
		return nil, false, fmt.Errorf("image %q: %w", c.GetImage().GetImage(), image.ErrNotFound)
	}
	rec = &ledger.Container{ID: newID(), Sandbox: p.ID, Intent: ledger.Making, Config: ledger.ContainerSpec{ContainerConfig: c},
		Boot: s.boot, ImageID: img.ID, ImageRef: c.GetImage().GetImage(), Created: time.Now(),
		Resources: ledger.Resources{LinuxContainerResources: proto.CloneOf(c.GetLinux().GetResources())}}
	if c.GetLogPath() != "" && p.Config.GetLogDirectory() != "" {
		rec.LogPath = filepath.Join(p.Config.GetLogDirectory(), c.GetLogPath())
	}
	if rec.StopWith, err = stopSignal(c, img.Config.Config.StopSignal); err != nil {
		return nil, false, err
	}
	if err := s.containers.Note(rec.ID, rec); err != nil {
		return nil, false, err
	}
	if _, err := s.imageOf(rec); err != nil {
		return nil, false, errors.Join(err, s.containers.Delete(rec.ID))
	}
	return rec, false, nil
}
