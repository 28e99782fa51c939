package steps

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hostUsers says whether the pod shares the node's user namespace.
func hostUsers(pod *corev1.Pod) bool { return pod.Spec.HostUsers == nil || *pod.Spec.HostUsers }

// users is the user namespace of a pod that asks for its own, nil for any other.
func (n *Node) users(pod *corev1.Pod) (*runtimeapi.UserNamespace, error) {
	if hostUsers(pod) {
		return nil, nil
	}
	return n.Users.Take(pod.UID)
}

// checkUsers refuses a pod that asks for a user namespace of its own where the runtime has none, in upstream's words.
func (n *Node) checkUsers(pod *corev1.Pod, handler string) error {
	switch {
	case hostUsers(pod) || n.UserNamespaces(handler):
		return nil
	case handler == "":
		return fmt.Errorf("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
	}
	return fmt.Errorf("can't set `spec.hostUsers: false`, RuntimeClass handler %q does not support user namespaces", handler)
}

// shift makes the files of volumes belong to the same users inside the pod's user namespace as outside. What images bring
// along is the runtime's.
func shift(mounts []*runtimeapi.Mount, u *runtimeapi.UserNamespace) {
	for _, m := range mounts {
		if u != nil && m.GetImage() == nil {
			m.UidMappings, m.GidMappings = u.Uids, u.Gids
		}
	}
}
