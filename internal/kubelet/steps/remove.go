package steps

import (
	"context"
	"errors"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// StopSandbox ends a sandbox and its network.
func (n *Node) StopSandbox(ctx context.Context, id string) error {
	_, err := n.Runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	if cri.IsNotFound(err) {
		return nil
	}
	return err
}

// RemoveContainer forgets an ended container and its log.
func (n *Node) RemoveContainer(ctx context.Context, id, logPath string) error {
	_, err := n.Runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: id})
	if err != nil && !cri.IsNotFound(err) {
		return err
	}
	if logPath == "" {
		return nil
	}
	if err := os.Remove(logPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveSandbox forgets a stopped sandbox.
func (n *Node) RemoveSandbox(ctx context.Context, id string) error {
	_, err := n.Runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	if cri.IsNotFound(err) {
		return nil
	}
	return err
}

// Teardown unmounts the volumes and removes the pod's directory and cgroup, and gives back its user ids.
func (n *Node) Teardown(uid types.UID) error {
	err := n.Mounter.Teardown(uid)
	if err == nil {
		n.Users.Release(uid)
	}
	return errors.Join(err, n.Cgroups.Remove(uid))
}

// RemoveLogs removes the pod's log directory.
func (n *Node) RemoveLogs(pod *corev1.Pod) error { return os.RemoveAll(n.PodLogDir(pod)) }
