package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/shim/hierarchy"
)

// Create makes the container with everything but its process. Named volumes are made, and filled with what the image has at
// their place, where they are empty. It returns ErrNameTaken.
func (e *Engine) Create(ctx context.Context, s Spec) (Container, error) {
	unlock, err := e.lock(ctx, s.Name)
	if err != nil {
		return Container{}, err
	}
	defer unlock()
	if taken, err := e.taken(ctx, s.Name); err != nil || taken {
		return Container{}, errors.Join(err, errorIf(taken, fmt.Errorf("%s: %w", s.Name, ErrNameTaken)))
	}
	s.Created = time.Now()
	held, err := e.Volumes.use(ctx, &s)
	if err != nil {
		return Container{}, errors.Join(err, e.forget(s))
	}
	defer held()
	c, err := e.make(ctx, s, 0, 0, how{attached: !s.Detached || s.Later})
	if err == nil {
		err = e.fillVolumes(ctx, c)
	}
	if err != nil {
		held() // or nobody could remove its volumes
		return Container{}, errors.Join(err, e.erase(context.WithoutCancel(ctx), s, true))
	}
	return c, nil
}

func errorIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// make makes a sandbox and the container in it. The caller holds the name's lock, and erases what a failure leaves.
func (e *Engine) make(ctx context.Context, s Spec, turn, attempt uint32, h how) (Container, error) {
	box, err := s.sandbox(e, turn)
	if err != nil {
		return Container{}, err
	}
	made, err := e.Runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: box})
	if err != nil {
		return Container{}, plain(err)
	}
	if err := e.limitPids(s); err != nil {
		return Container{}, err
	}
	resp, err := e.Runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: made.PodSandboxId, Config: s.container(attempt, h.attached), SandboxConfig: box})
	if err != nil {
		return Container{}, plain(err)
	}
	return Container{ID: resp.ContainerId, Sandbox: made.PodSandboxId, Spec: s, Ready: true, Attempt: attempt, turn: turn,
		Log: filepath.Join(e.logDir(s.Name), logName)}, nil
}

func (e *Engine) taken(ctx context.Context, name string) (bool, error) {
	all, err := e.List(ctx)
	return slices.ContainsFunc(all, func(c Container) bool { return c.Spec.Name == name }), err
}

// limitPids bounds processes and threads in the sandbox's cgroup, for CRI has no such limit. On version 1 it makes that, in
// which the container is then too: without a limit there is none.
func (e *Engine) limitPids(s Spec) error {
	if s.Pids <= 0 {
		return nil
	}
	for controllers, dir := range hierarchy.Dirs(e.cgroup(s.Name)) {
		if slices.Contains(strings.Split(controllers, ","), "pids") {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("limit of processes: %w", err)
			}
		}
		file := filepath.Join(dir, "pids.max")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		return os.WriteFile(file, []byte(strconv.FormatInt(s.Pids, 10)), 0o644)
	}
	return errors.New("limit of processes: this machine has no pids controller")
}
