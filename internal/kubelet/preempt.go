package kubelet

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/steps"
)

// preemptMessage is what a pod is told that had to make room.
const preemptMessage = "Preempted in order to admit critical pod"

// makeRoom ends pods for the sake of a critical one: the weakest first, no more than it takes. It says whether the pod
// then fits; where it would not, nobody is ended.
func (k *Kubelet) makeRoom(pod *corev1.Pod) bool {
	if !critical(pod) {
		return false
	}
	var weaker []*worker
	for _, w := range k.all() {
		if other, counts := w.counts(pod.UID); counts && (!critical(other) || priority(other) < priority(pod)) {
			weaker = append(weaker, w)
		}
	}
	rank := map[corev1.PodQOSClass]int{corev1.PodQOSBestEffort: 0, corev1.PodQOSBurstable: 1, corev1.PodQOSGuaranteed: 2}
	slices.SortStableFunc(weaker, func(a, b *worker) int {
		x, _ := a.counts("")
		y, _ := b.counts("")
		return cmp.Or(cmp.Compare(rank[steps.Class(x)], rank[steps.Class(y)]), compare(requested(x), requested(y)))
	})
	gone := map[*worker]bool{}
	for _, w := range weaker {
		if reason, _ := k.outOfWithout(pod, gone); reason == "" {
			break
		}
		gone[w] = true
	}
	if reason, _ := k.outOfWithout(pod, gone); reason != "" {
		return false
	}
	for w := range gone {
		other, _ := w.counts("")
		k.node.Event(other, "", corev1.EventTypeWarning, "Preempting", preemptMessage)
		stop := &decide.Stop{Grace: seconds(other.Spec.TerminationGracePeriodSeconds), Reason: "Preempting", Message: preemptMessage}
		w.note(func() { w.evict = stop })
	}
	return true
}

func compare(a, b resource.Quantity) int { return a.Cmp(b) }

func requested(pod *corev1.Pod) resource.Quantity {
	list := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	return *list.Memory()
}
