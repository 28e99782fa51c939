package kubelet

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/static"
)

// safeSysctls are those that a pod may set: they are namespaced and harm nobody else.
var safeSysctls = []string{"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}

// admit says why this node will not run a pod that was bound to it; nil where it will.
func (k *Kubelet) admit(pod *corev1.Pod) *decide.Stop {
	reason, message := k.refusal(pod)
	if reason == "" {
		return nil
	}
	message = "Pod was rejected: " + message
	k.node.Event(pod, "", corev1.EventTypeWarning, reason, "%s", message)
	return &decide.Stop{Reason: reason, Message: message}
}

func (k *Kubelet) refusal(pod *corev1.Pod) (reason, message string) {
	if sc := pod.Spec.SecurityContext; sc != nil {
		for _, s := range sc.Sysctls {
			if !slices.Contains(safeSysctls, strings.ReplaceAll(s.Name, "/", ".")) {
				return "SysctlForbidden", fmt.Sprintf("forbidden sysctl: %q not allowlisted", s.Name)
			}
		}
	}
	if os := pod.Spec.OS; os != nil && os.Name != corev1.Linux {
		return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
	}
	if reason, message := k.underPressure(pod); reason != "" {
		return reason, message
	}
	if reason, message := unbuilt(pod); reason != "" {
		return reason, message
	}
	if reason, message := k.misplaced(pod); reason != "" {
		return reason, message
	}
	if reason, message := k.outOf(pod); reason != "" && !k.makeRoom(pod) {
		return reason, message
	}
	return "", ""
}

// isStatic says that a pod comes from a file of the node, or is the API's picture of such a pod.
func isStatic(pod *corev1.Pod) bool {
	return pod.Annotations[static.Source] == "file" || isMirror(pod)
}

// isMirror says that a pod is the API's picture of a static pod.
func isMirror(pod *corev1.Pod) bool {
	return pod != nil && pod.Annotations[static.Mirror] != ""
}
