package container

import (
	"context"
	"fmt"
	"os"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Remove forgets the container with its log and writable layer, and with volumes those that have no name; so it does with
// those of a container that wished to be removed at its end. One that runs is ErrRunning unless force kills it. What has gone
// is removed.
func (e *Engine) Remove(ctx context.Context, c Container, force, volumes bool) error {
	unlock, err := e.lock(ctx, c.Spec.Name)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := e.locked(ctx, c)
	if IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if now.Running() && !force {
		return fmt.Errorf("%s: %w", c.Spec.Name, ErrRunning)
	}
	return e.erase(ctx, now.Spec, volumes || now.Spec.Remove)
}

// erase removes all sandboxes of the name, then what we keep of it. The caller holds the name's lock.
func (e *Engine) erase(ctx context.Context, s Spec, volumes bool) error {
	boxes, err := e.Runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{Filter: &cri.PodSandboxFilter{LabelSelector: map[string]string{Label: s.Name}}})
	if err != nil {
		return plain(err)
	}
	for _, b := range boxes.Items {
		if _, err := e.Runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: b.Id}); err != nil {
			return plain(err)
		}
	}
	if volumes {
		if err := e.removeAnonymous(ctx, s); err != nil {
			return err
		}
	}
	return e.forget(s)
}

// forget removes the log, and with it the lock.
func (e *Engine) forget(s Spec) error { return os.RemoveAll(e.logDir(s.Name)) }
