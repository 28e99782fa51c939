package status

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/seen"
)

// Up to these, what the kernel says is its least value, and the spec's is shown.
const (
	leastRequest = 2  // millicores
	leastLimit   = 10 // millicores
)

// resources are what the runtime says of a running container, and of any other what it is granted.
func resources(c *corev1.Container, s *seen.Container) *corev1.ResourceRequirements {
	out := c.Resources.DeepCopy()
	if s.State != seen.Running {
		return out
	}
	if out.Limits != nil {
		putMillis(out.Limits, cgroup.QuotaMillis(s.CPUQuota, s.CPUPeriod), leastLimit)
		if s.MemoryLimit > 0 {
			out.Limits[corev1.ResourceMemory] = *resource.NewQuantity(s.MemoryLimit, resource.BinarySI)
		}
	}
	if out.Requests != nil {
		putMillis(out.Requests, cgroup.Millis(s.CPUShares), leastRequest)
	}
	return out
}

// putMillis writes the kernel's CPU value unless both it and the list's are at or below the kernel's least.
func putMillis(list corev1.ResourceList, milli, least int64) {
	if milli > 0 && (milli > least || list.Cpu().MilliValue() > least) {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(milli, resource.DecimalSI)
	}
}

// podResources sets what the pod as a whole is granted and has.
func (in *Input) podResources(st *corev1.PodStatus) {
	st.AllocatedResources = resourcehelper.PodRequests(in.Pod, resourcehelper.PodResourcesOptions{})
	out := in.Pod.Spec.Resources.DeepCopy()
	if out == nil {
		out = &corev1.ResourceRequirements{}
	}
	st.Resources = out
	if st.Phase != corev1.PodRunning {
		out.Requests = st.AllocatedResources.DeepCopy()
		out.Limits = resourcehelper.PodLimits(in.Pod, resourcehelper.PodResourcesOptions{})
		return
	}
	if out.Requests == nil {
		out.Requests = corev1.ResourceList{}
	}
	if out.Limits == nil {
		out.Limits = corev1.ResourceList{}
	}
	putMillis(out.Requests, cgroup.Millis(cgroup.Shares(in.Cgroup.MilliCPU)), leastRequest)
	putMillis(out.Limits, cgroup.QuotaMillis(in.Cgroup.Quota, cgroup.Period), leastLimit)
	if in.Cgroup.Memory > 0 {
		out.Limits[corev1.ResourceMemory] = *resource.NewQuantity(in.Cgroup.Memory, resource.BinarySI)
	}
	if m, ok := st.AllocatedResources[corev1.ResourceMemory]; ok && out.Requests.Memory().IsZero() {
		out.Requests[corev1.ResourceMemory] = m.DeepCopy()
	}
}

// resize shows the conditions of a resize, and none where there is none.
func (in *Input) resize(st *corev1.PodStatus) {
	for _, t := range []corev1.PodConditionType{corev1.PodResizePending, corev1.PodResizeInProgress} {
		i := find(st.Conditions, t)
		now := find(in.Resize, t)
		switch {
		case now >= 0 && i >= 0:
			st.Conditions[i] = in.Resize[now]
		case now >= 0:
			st.Conditions = append(st.Conditions, in.Resize[now])
		case i >= 0:
			st.Conditions = append(st.Conditions[:i], st.Conditions[i+1:]...)
		}
	}
}
