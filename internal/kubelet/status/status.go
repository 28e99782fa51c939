// Package status derives the status of a pod from what was seen of it.
//
// The kubelet's pod worker calls Make after each step; the result replaces the parts of the Pod's status that a kubelet
// owns. Make is pure: the same input gives the same status, so a lost write is simply derived again. Tests are tables.
package status

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
)

// Waiting is why a container does not run.
type Waiting struct{ Reason, Message string }

// Input is everything that a status depends on.
type Input struct {
	Pod     *corev1.Pod // with the status last read from the API
	Seen    seen.Pod
	Now     time.Time
	Stop    *decide.Stop
	Done    bool               // no container will run any more
	Over    bool               // sandbox, volumes and cgroup are gone too
	Waiting map[string]Waiting // by container name
	Started map[string]bool    // by container id: postStart hook and startup probe are over
	Ready   map[string]bool    // by container id: the readiness probe's verdict; absent without a probe: true
	Runtime string             // "containerd", prefix of container ids
	HostIPs []string
	Exit    func(c *seen.Container) string // termination message of an ended container
	Resize  []corev1.PodCondition          // of a resize that waits or is under way
	Cgroup  cgroup.Limits                  // what the pod's cgroup has
	// Restarting says that all containers are being taken away to start over.
	Restarting bool
	// RecursiveReadOnly says that the pod's runtime can make mounts read-only with those below them.
	RecursiveReadOnly bool
}

// Make derives the status.
func Make(in Input) corev1.PodStatus {
	old := in.Pod.Status
	st := *old.DeepCopy()
	if in.unstarted() {
		return in.rejected(st)
	}
	st.ObservedGeneration = in.Pod.Generation
	if st.StartTime == nil {
		now := metav1.NewTime(in.Now).Rfc3339Copy()
		st.StartTime = &now
	}
	if st.QOSClass == "" {
		st.QOSClass = qos.GetPodQOS(in.Pod)
	}
	in.addresses(&st)
	in.containers(&st)
	st.Phase = in.phase(&st)
	if in.Stop != nil && in.Stop.Reason != "" {
		st.Reason, st.Message = in.Stop.Reason, in.Stop.Message
	}
	in.podResources(&st)
	in.conditions(&st)
	in.disruption(&st)
	in.resize(&st)
	return st
}

// unstarted says that the pod was refused before anything of it ran.
func (in *Input) unstarted() bool {
	return in.Stop != nil && in.Stop.Reason != "" && in.Pod.Status.StartTime == nil && len(in.Seen.Containers) == 0
}

// rejected is the status of a pod that this node refused.
func (in *Input) rejected(st corev1.PodStatus) corev1.PodStatus {
	now := metav1.NewTime(in.Now).Rfc3339Copy()
	st.ObservedGeneration = in.Pod.Generation
	st.Phase, st.Reason, st.Message, st.StartTime = corev1.PodFailed, in.Stop.Reason, in.Stop.Message, &now
	if st.QOSClass == "" {
		st.QOSClass = qos.GetPodQOS(in.Pod)
	}
	return st
}

// addresses sets hostIP(s) and podIP(s). The addresses of a sandbox that ended stay until the pod is over, as upstream
// keeps them.
func (in *Input) addresses(st *corev1.PodStatus) {
	st.HostIPs = nil
	for _, ip := range in.HostIPs {
		st.HostIPs = append(st.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(in.HostIPs) > 0 {
		st.HostIP = in.HostIPs[0]
	}
	ips := []string(nil)
	if box := in.Seen.ReadySandbox(); box != nil {
		ips = box.IPs
		if in.Pod.Spec.HostNetwork {
			ips = in.HostIPs
		}
	}
	if len(ips) == 0 {
		return
	}
	st.PodIP, st.PodIPs = ips[0], nil
	for _, ip := range ips {
		st.PodIPs = append(st.PodIPs, corev1.PodIP{IP: ip})
	}
}

func (in *Input) containers(st *corev1.PodStatus) {
	old := map[string]corev1.ContainerStatus{}
	for _, list := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses, st.EphemeralContainerStatuses} {
		for _, s := range list {
			old[s.Name] = s
		}
	}
	st.InitContainerStatuses, st.ContainerStatuses, st.EphemeralContainerStatuses = nil, nil, nil
	decide.Each(&in.Pod.Spec, func(c *corev1.Container, r decide.Role) {
		cs := in.container(c, r, old[c.Name])
		switch r {
		case decide.Init:
			st.InitContainerStatuses = append(st.InitContainerStatuses, cs)
		case decide.Regular:
			st.ContainerStatuses = append(st.ContainerStatuses, cs)
		case decide.Ephemeral:
			st.EphemeralContainerStatuses = append(st.EphemeralContainerStatuses, cs)
		}
	})
	for _, list := range [][]corev1.ContainerStatus{st.ContainerStatuses, st.EphemeralContainerStatuses} { // those of init containers stay in their order
		slices.SortFunc(list, func(a, b corev1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	}
}
