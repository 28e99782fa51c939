package allocation

import (
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	resourcehelper "k8s.io/component-helpers/resource"
)

// Resources are what a pod and its containers (by name) may use.
type Resources struct {
	Pod        *corev1.ResourceRequirements           `json:"pod,omitempty"`
	Containers map[string]corev1.ResourceRequirements `json:"containers,omitempty"`
}

// Of is what the pod's spec says. Ephemeral containers have no resources.
func Of(pod *corev1.Pod) Resources {
	r := Resources{Pod: pod.Spec.Resources.DeepCopy(), Containers: map[string]corev1.ResourceRequirements{}}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			r.Containers[list[i].Name] = *list[i].Resources.DeepCopy()
		}
	}
	return r
}

// on is pod with these resources: pod itself where nothing differs, else a copy.
func (r Resources) on(pod *corev1.Pod) *corev1.Pod {
	if r.same(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	pod.Spec.Resources = r.Pod.DeepCopy()
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if have, ok := r.Containers[list[i].Name]; ok {
				list[i].Resources = *have.DeepCopy()
			}
		}
	}
	return pod
}

func (r Resources) same(pod *corev1.Pod) bool {
	if !apiequality.Semantic.DeepEqual(r.Pod, pod.Spec.Resources) {
		return false
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			have, ok := r.Containers[list[i].Name]
			if ok && !apiequality.Semantic.DeepEqual(have, list[i].Resources) {
				return false
			}
		}
	}
	return true
}

// Grows says that after asks for more CPU or memory than before.
func Grows(before, after *corev1.Pod) bool {
	was := resourcehelper.PodRequests(before, resourcehelper.PodResourcesOptions{})
	now := resourcehelper.PodRequests(after, resourcehelper.PodResourcesOptions{})
	return now.Cpu().Cmp(*was.Cpu()) > 0 || now.Memory().Cmp(*was.Memory()) > 0
}

// Differs says which of CPU and memory two requirements of one container do not agree in. Other resources never change.
func Differs(a, b corev1.ResourceRequirements) (cpu, memory bool) {
	differ := func(name corev1.ResourceName) bool {
		aRequest, bRequest, aLimit, bLimit := a.Requests[name], b.Requests[name], a.Limits[name], b.Limits[name]
		return !aRequest.Equal(bRequest) || !aLimit.Equal(bLimit)
	}
	return differ(corev1.ResourceCPU), differ(corev1.ResourceMemory)
}
