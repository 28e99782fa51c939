package steps

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/env"
)

// Start is one start of a container.
type Start struct {
	Attempt int32
	Sandbox string
	PodIPs  []string
	Image   string // the runtime's reference
	Target  string // id of the container whose processes an ephemeral container sees
	// Running is called with the container's id when it runs, before its postStart hook.
	Running func(id string)
}

// Start creates and starts the container and runs its postStart hook. It returns the container's id where it was
// created. The error of a failed hook is a *Failure with reason PostStartHookError: the container still runs.
func (n *Node) Start(ctx context.Context, pod *corev1.Pod, c *corev1.Container, s Start) (string, error) {
	id, err := n.start(ctx, pod, c, s)
	if f := AsFailure(err); f != nil && !f.Quiet && ctx.Err() == nil {
		n.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: %s", f.Message)
	}
	return id, err
}

func (n *Node) start(ctx context.Context, pod *corev1.Pod, c *corev1.Container, s Start) (string, error) {
	cfg, err := n.containerConfig(ctx, pod, c, s)
	if err != nil {
		if AsFailure(err) == nil {
			err = fail("CreateContainerConfigError", "%v", err)
		}
		return "", err
	}
	box, err := n.SandboxConfig(pod, 0)
	if err != nil {
		return "", fail("CreateContainerConfigError", "%v", err)
	}
	created, err := n.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{PodSandboxId: s.Sandbox, Config: cfg, SandboxConfig: box})
	if err != nil {
		return "", fail("CreateContainerError", "%s", cri.Message(err))
	}
	id := created.ContainerId
	n.event(pod, c.Name, corev1.EventTypeNormal, "Created", "Container created")
	if _, err := n.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: id}); err != nil {
		return id, fail("RunContainerError", "%s", cri.Message(err))
	}
	n.event(pod, c.Name, corev1.EventTypeNormal, "Started", "Container started")
	s.Running(id)
	if l := c.Lifecycle; l != nil && l.PostStart != nil {
		if err := n.hook(ctx, pod, c, id, l.PostStart, s.PodIPs); err != nil {
			n.event(pod, c.Name, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed")
			return id, &Failure{Reason: "PostStartHookError", Message: err.Error(), Quiet: true}
		}
	}
	return id, nil
}

func keyValue(v env.Var) *runtimeapi.KeyValue {
	return &runtimeapi.KeyValue{Key: v.Name, Value: []byte(v.Value)}
}

// BackOff writes the event of a container that waits for its restart.
func (n *Node) BackOff(pod *corev1.Pod, container string) {
	n.event(pod, container, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", container, podName(pod))
}

// BackOffPull writes the event of a container that waits for the next try to pull its image.
func (n *Node) BackOffPull(pod *corev1.Pod, container, image string) {
	n.event(pod, container, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", image)
	n.event(pod, container, corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
}

func podName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}
