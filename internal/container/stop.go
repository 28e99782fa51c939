package container

import (
	"context"
	"errors"
	"os"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Stop asks the process to end, kills it after the grace, and gives network and namespaces back. What has ended is stopped.
func (e *Engine) Stop(ctx context.Context, c Container, grace time.Duration) error {
	if err := e.MarkStopped(c); err != nil {
		return err
	}
	if _, err := e.Runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c.ID, Timeout: int64(grace.Seconds())}); err != nil {
		return plain(err)
	}
	return e.rest(ctx, c)
}

// MarkStopped has policies leave c alone until it is started again.
func (e *Engine) MarkStopped(c Container) error {
	if err := os.WriteFile(e.stoppedFile(c.Spec.Name), nil, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// rest gives back what an ended container does not need.
func (e *Engine) rest(ctx context.Context, c Container) error {
	_, err := e.Runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: c.Sandbox})
	return plain(err)
}
