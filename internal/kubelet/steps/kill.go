package steps

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/seen"
)

// leastGrace is what a container gets after its preStop hook has used up the grace period.
const leastGrace = 2 * time.Second

// Kill ends a running container: preStop hook, stop signal, and after the grace period SIGKILL. c is nil where the pod's
// spec is not known any more; the hook then comes from the container's annotations.
func (n *Node) Kill(ctx context.Context, pod *corev1.Pod, c *corev1.Container, s *seen.Container, grace time.Duration, reason string, podIPs []string) error {
	if reason != "" {
		n.event(pod, s.Name, corev1.EventTypeNormal, "Killing", "%s", reason)
	}
	if h := preStop(c, s); h != nil && grace > 0 && s.State == seen.Running {
		if c == nil {
			c = &corev1.Container{Name: s.Name}
		}
		grace = n.runPreStop(ctx, pod, c, s.ID, h, grace, podIPs)
	}
	seconds := int64((grace + time.Second - 1) / time.Second)
	_, err := n.Runtime.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: s.ID, Timeout: seconds})
	if cri.IsNotFound(err) {
		return nil
	}
	return err
}

// runPreStop runs the hook within the grace period and returns what is left of it.
func (n *Node) runPreStop(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id string, h *corev1.LifecycleHandler, grace time.Duration, podIPs []string) time.Duration {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := n.hook(bounded, pod, c, id, h, podIPs); err != nil && ctx.Err() == nil {
		n.event(pod, c.Name, corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
		n.Log.Debug("preStop hook failed", "pod", pod.Namespace+"/"+pod.Name, "container", c.Name, "err", err)
	}
	return max(grace-time.Since(began), leastGrace)
}

func preStop(c *corev1.Container, s *seen.Container) *corev1.LifecycleHandler {
	if c != nil {
		if c.Lifecycle == nil {
			return nil
		}
		return c.Lifecycle.PreStop
	}
	raw, ok := s.Annotations[seen.PreStop]
	if !ok {
		return nil
	}
	var h corev1.LifecycleHandler
	if json.Unmarshal([]byte(raw), &h) != nil {
		return nil
	}
	return &h
}
