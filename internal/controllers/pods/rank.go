package pods

import (
	"sort"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// deletionCost is upstream's annotation by which users steer a scale-down.
const deletionCost = "controller.kubernetes.io/pod-deletion-cost"

// RankForDeletion orders pods so that those a scale-down should take come first, by upstream's rules: without a node,
// pending, not ready, cheaper by annotation, on nodes with more of their kind, ready for a shorter time, restarted more,
// younger; the name decides between equals so that the order is stable.
func RankForDeletion(list []*corev1.Pod) {
	perNode := map[string]int{}
	for _, p := range list {
		perNode[p.Spec.NodeName]++
	}
	sort.Slice(list, func(i, j int) bool { return before(list[i], list[j], perNode) })
}

var phaseRank = map[corev1.PodPhase]int{corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}

func before(a, b *corev1.Pod, perNode map[string]int) bool {
	for _, d := range []int{
		boolRank(a.Spec.NodeName != "") - boolRank(b.Spec.NodeName != ""),
		phaseRank[a.Status.Phase] - phaseRank[b.Status.Phase],
		boolRank(Ready(a)) - boolRank(Ready(b)),
		cost(a) - cost(b),
		perNode[b.Spec.NodeName] - perNode[a.Spec.NodeName],
	} {
		if d != 0 {
			return d < 0
		}
	}
	if Ready(a) && Ready(b) {
		ra, rb := Condition(a, corev1.PodReady).LastTransitionTime, Condition(b, corev1.PodReady).LastTransitionTime
		if !ra.Equal(&rb) {
			return rb.Before(&ra)
		}
	}
	if ra, rb := restarts(a), restarts(b); ra != rb {
		return ra > rb
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return b.CreationTimestamp.Before(&a.CreationTimestamp)
	}
	return a.Name < b.Name
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func cost(p *corev1.Pod) int {
	n, err := strconv.ParseInt(p.Annotations[deletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func restarts(p *corev1.Pod) (most int32) {
	for _, c := range p.Status.ContainerStatuses {
		most = max(most, c.RestartCount)
	}
	return most
}
