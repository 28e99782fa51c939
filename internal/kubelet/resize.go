package kubelet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"minato.dev/minato/internal/kubelet/allocation"
	"minato.dev/minato/internal/kubelet/steps"
)

// resize grants what the pod's spec asks for where the node has room for it, and else notes why it has to wait.
func (k *Kubelet) resize(w *worker) {
	k.admission.Lock()
	defer k.admission.Unlock()
	if k.scope.Context().Err() != nil {
		return // a kubelet that ends: its workers go one by one, and the room that they leave is none
	}
	w.mu.Lock()
	pod, old := w.next, w.pending
	w.mu.Unlock()
	granted := w.book.Granted(pod)
	if granted == pod {
		w.note(func() { w.pending = nil })
		return
	}
	reason, message := k.noRoom(pod, granted)
	if reason == "" {
		err := w.book.Grant(pod)
		if err == nil {
			w.note(func() { w.pending, w.started0 = nil, pod.Generation })
			k.node.Event(pod, "", corev1.EventTypeNormal, "ResizeStarted", "%s", allocation.Message("Pod resize started", pod, pod.Generation, ""))
			return
		}
		reason, message = corev1.PodReasonDeferred, err.Error()
	}
	c := resizeCondition(corev1.PodResizePending, old, reason, message, pod.Generation, time.Now())
	w.note(func() { w.pending = c })
	if old == nil || old.Reason != reason || old.ObservedGeneration != pod.Generation {
		k.node.Event(pod, "", corev1.EventTypeWarning, "Resize"+reason, "%s", allocation.Message("Pod resize "+reason, pod, pod.Generation, message))
	}
}

// noRoom says why the node cannot give pod what it asks for. What does not grow always has room.
func (k *Kubelet) noRoom(pod, granted *corev1.Pod) (reason, message string) {
	if !allocation.Grows(granted, pod) {
		return "", ""
	}
	offer, want := k.allocatable(), resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	var never []string
	if have, asked := offer.Cpu(), want.Cpu(); asked.Cmp(*have) > 0 {
		never = append(never, fmt.Sprintf("cpu, requested: %d, capacity: %d", asked.MilliValue(), have.MilliValue()))
	}
	if have, asked := offer.Memory(), want.Memory(); asked.Cmp(*have) > 0 {
		never = append(never, fmt.Sprintf("memory, requested: %d, capacity: %d", asked.Value(), have.Value()))
	}
	if len(never) > 0 {
		return corev1.PodReasonInfeasible, "Node didn't have enough capacity: " + strings.Join(never, "; ")
	}
	if short, why := k.outOf(pod); short != "" {
		return corev1.PodReasonDeferred, why
	}
	return "", ""
}

// room lets the resizes that wait be considered again, because something has become free: those first that need nothing,
// then the more important pods, then those that wait longest.
func (k *Kubelet) room() {
	var waiting []*worker
	order := map[*worker]resizeRank{}
	for _, w := range k.all() {
		w.mu.Lock()
		pod, pending := w.next, w.pending
		w.mu.Unlock()
		if pending != nil {
			waiting = append(waiting, w)
			order[w] = rankOf(pod, w.book.Granted(pod), pending)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *worker) int { return order[a].compare(order[b]) })
	for _, w := range waiting {
		k.resize(w)
	}
}

type resizeRank struct {
	grows, weak int
	priority    int32
	since       time.Time
}

func rankOf(pod, granted *corev1.Pod, pending *corev1.PodCondition) resizeRank {
	r := resizeRank{priority: priority(pod), since: pending.LastTransitionTime.Time}
	if allocation.Grows(granted, pod) {
		r.grows = 1
	}
	if steps.Class(pod) != corev1.PodQOSGuaranteed {
		r.weak = 1
	}
	return r
}

func (r resizeRank) compare(o resizeRank) int {
	return cmp.Or(cmp.Compare(r.grows, o.grows), cmp.Compare(o.priority, r.priority), cmp.Compare(r.weak, o.weak), r.since.Compare(o.since))
}
