package kubelet

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"
)

// outOf refuses a pod that asks for more than the other pods of the node leave: two schedulers, or a pod that was bound
// by hand.
func (k *Kubelet) outOf(pod *corev1.Pod) (reason, message string) { return k.outOfWithout(pod, nil) }

// outOfWithout is outOf as if the pods of gone were gone.
func (k *Kubelet) outOfWithout(pod *corev1.Pod, gone map[*worker]bool) (reason, message string) {
	used, count := k.used(pod.UID, gone)
	if count+1 > int64(k.cfg.MaxPods) {
		return "OutOfpods", fmt.Sprintf("Node didn't have enough resource: pods, requested: 1, used: %d, capacity: %d", count, k.cfg.MaxPods)
	}
	have := k.allocatable()
	for name, want := range resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}) {
		offer, known := have[name]
		taken := used[name]
		left := offer.DeepCopy()
		left.Sub(taken)
		if want.IsZero() || known && want.Cmp(left) <= 0 || !known && name != corev1.ResourceCPU && name != corev1.ResourceMemory {
			continue
		}
		amount := func(q interface {
			Value() int64
			MilliValue() int64
		}) int64 {
			if name == corev1.ResourceCPU {
				return q.MilliValue()
			}
			return q.Value()
		}
		return "OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, amount(&want), amount(&taken), amount(&offer))
	}
	return "", ""
}

// used sums the requests of the pods of the node that have not ended, but for some.
func (k *Kubelet) used(except types.UID, gone map[*worker]bool) (corev1.ResourceList, int64) {
	sum, count := corev1.ResourceList{}, int64(0)
	for _, w := range k.all() {
		pod, counts := w.counts(except)
		if !counts || gone[w] {
			continue
		}
		count++
		for name, q := range resourcehelper.PodRequests(w.book.Granted(pod), resourcehelper.PodResourcesOptions{}) {
			total := sum[name]
			total.Add(q)
			sum[name] = total
		}
	}
	return sum, count
}
