package steps

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/cgroup"
)

// systemCritical is the priority from which a pod is as safe from the OOM killer as a guaranteed one.
const systemCritical = 2_000_000_000

// resources is what the container may use.
func (n *Node) resources(pod *corev1.Pod, c *corev1.Container) *runtimeapi.LinuxContainerResources {
	a := amounts(c)
	r := &runtimeapi.LinuxContainerResources{CpuShares: sharesOf(a[0]), CpuQuota: cgroup.Quota(a[1]), CpuPeriod: cgroup.Period,
		MemoryLimitInBytes: a[2], OomScoreAdj: oomScore(pod, c, n.Memory)}
	if r.MemoryLimitInBytes > 0 {
		r.MemorySwapLimitInBytes = r.MemoryLimitInBytes // no swap for pods
	}
	for name, q := range c.Resources.Limits {
		if size, ok := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix); ok {
			r.HugepageLimits = append(r.HugepageLimits, &runtimeapi.HugepageLimit{PageSize: pageSize(size), Limit: uint64(q.Value())})
		}
	}
	return r
}

// pageSize turns "2Mi" into the kernel's "2MB".
func pageSize(s string) string { return strings.TrimSuffix(s, "i") + "B" }

func sharesOf(milli int64) int64 { return cgroup.Shares(milli) }

// oomScore is who dies first when the machine is out of memory: best effort pods, then the burstable ones that asked for
// the smallest part of it, guaranteed ones last.
func oomScore(pod *corev1.Pod, c *corev1.Container, memory int64) int64 {
	switch {
	case pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical, Class(pod) == corev1.PodQOSGuaranteed:
		return -997
	case Class(pod) == corev1.PodQOSBestEffort || memory == 0:
		return 1000
	}
	request := c.Resources.Requests[corev1.ResourceMemory]
	return min(max(1000-1000*request.Value()/memory, 3), 999)
}
