package steps

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"minato.dev/minato/internal/kubelet/cgroup"
)

// Limits is what the pod's cgroup is to have.
func (n *Node) Limits(pod *corev1.Pod) cgroup.Limits {
	l := podLimits(pod)
	l.Pids = n.PodPids
	return l
}

// podLimits sums the containers' requests, and their limits where all have one. Resources of the pod itself win over the
// sum, and what the runtime takes for itself comes on top.
func podLimits(pod *corev1.Pod) cgroup.Limits {
	sums, bounded := sumContainers(pod)
	if r := pod.Spec.Resources; r != nil {
		for i, q := range []struct {
			list corev1.ResourceList
			name corev1.ResourceName
		}{{r.Requests, corev1.ResourceCPU}, {r.Limits, corev1.ResourceCPU}, {r.Limits, corev1.ResourceMemory}} {
			if v, ok := q.list[q.name]; ok {
				sums[i], bounded[i] = amount(v, q.name), true
			}
		}
	}
	cpu, memory := pod.Spec.Overhead.Cpu().MilliValue(), pod.Spec.Overhead.Memory().Value()
	l := cgroup.Limits{MilliCPU: sums[0] + cpu}
	if bounded[1] {
		l.Quota = cgroup.Quota(sums[1] + cpu)
	}
	if bounded[2] {
		l.Memory = sums[2] + memory
	}
	return l
}

func amount(q resource.Quantity, name corev1.ResourceName) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// sumContainers adds up amounts. Init containers run one after the other, so the largest of them counts where it is
// larger than the rest together; sidecars count with the rest.
func sumContainers(pod *corev1.Pod) (sums [3]int64, bounded [3]bool) {
	bounded = [3]bool{true, true, true}
	for i := range pod.Spec.Containers {
		for j, v := range amounts(&pod.Spec.Containers[i]) {
			sums[j] += v
			bounded[j] = bounded[j] && v > 0
		}
	}
	var sidecars, peak [3]int64
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
	return sums, bounded
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
