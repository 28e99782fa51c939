package steps

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/env"
)

// Volumes makes the pod's log directory, its cgroup with these limits, and its volumes, and writes FailedMount for those
// that fail. The log directory comes first and goes last: by it a later start finds what is left of the pod.
func (n *Node) Volumes(ctx context.Context, pod *corev1.Pod, limits cgroup.Limits) error {
	if err := os.MkdirAll(n.PodLogDir(pod), 0o755); err != nil {
		return err
	}
	if err := n.Cgroups.Set(pod.UID, Class(pod), limits); err != nil {
		n.event(pod, "", corev1.EventTypeWarning, "FailedCreatePodContainer", "unable to ensure pod container exists: %v", err)
		return err
	}
	err := n.Mounter.Setup(ctx, pod)
	for _, e := range each(err) {
		if ctx.Err() == nil {
			n.event(pod, "", corev1.EventTypeWarning, "FailedMount", "%v", e)
		}
	}
	return err
}

// each splits joined errors.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// Class is the pod's quality of service.
func Class(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	return qos.GetPodQOS(pod)
}

// Downward evaluates an item of a downward API volume.
func (n *Node) Downward(pod *corev1.Pod, item *corev1.DownwardAPIVolumeFile) (string, error) {
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	switch {
	case item.FieldRef != nil:
		return env.Field(pod, item.FieldRef.FieldPath, n.source(ips))
	case item.ResourceFieldRef != nil:
		return env.Resource(pod, nil, item.ResourceFieldRef, n.Allocatable)
	}
	return "", fmt.Errorf("downward API item %q names no source", item.Path)
}

// Limits is what the pod's cgroup is to have.
func (n *Node) Limits(pod *corev1.Pod) cgroup.Limits {
	l := podLimits(pod)
	l.Pids = n.PodPids
	return l
}

// podLimits sums the containers' requests, and their limits where all have one. Init containers run one after the
// other, so the largest of them counts where it is larger than the rest together; sidecars count with the rest.
func podLimits(pod *corev1.Pod) cgroup.Limits {
	sums := [3]int64{}
	bounded := [3]bool{true, true, true}
	add := func(c *corev1.Container) {
		for i, v := range amounts(c) {
			sums[i] += v
			bounded[i] = bounded[i] && v > 0
		}
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i])
	}
	sidecars := [3]int64{}
	peak := [3]int64{}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		for j, v := range amounts(c) {
			bounded[j] = bounded[j] && v > 0
			if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
				sidecars[j] += v
				v = 0
			}
			peak[j] = max(peak[j], sidecars[j]+v)
		}
	}
	for i := range sums {
		sums[i] = max(sums[i]+sidecars[i], peak[i])
	}
	l := cgroup.Limits{MilliCPU: sums[0]}
	if bounded[1] {
		l.Quota = cgroup.Quota(sums[1])
	}
	if bounded[2] {
		l.Memory = sums[2]
	}
	if r := pod.Spec.Resources; r != nil {
		applyPodLevel(&l, r)
	}
	return l
}

// applyPodLevel lets resources of the pod itself win over the sum of the containers.
func applyPodLevel(l *cgroup.Limits, r *corev1.ResourceRequirements) {
	if q, ok := r.Requests[corev1.ResourceCPU]; ok {
		l.MilliCPU = q.MilliValue()
	}
	if q, ok := r.Limits[corev1.ResourceCPU]; ok {
		l.Quota = cgroup.Quota(q.MilliValue())
	}
	if q, ok := r.Limits[corev1.ResourceMemory]; ok {
		l.Memory = q.Value()
	}
}

// amounts are the CPU request and limit in millicores and the memory limit in bytes.
func amounts(c *corev1.Container) [3]int64 {
	request, ok := c.Resources.Requests[corev1.ResourceCPU]
	limit := c.Resources.Limits[corev1.ResourceCPU]
	if !ok {
		request = limit
	}
	memory := c.Resources.Limits[corev1.ResourceMemory]
	return [3]int64{request.MilliValue(), limit.MilliValue(), memory.Value()}
}
