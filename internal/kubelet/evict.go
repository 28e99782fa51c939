package kubelet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/machine"
	"minato.dev/minato/internal/kubelet/steps"
)

// systemCritical is the priority from which a pod is never evicted.
const systemCritical = 2_000_000_000

// evictGrace is what a pod gets that has to go at once.
const evictGrace = time.Second

// evictForPressure ends one pod a round while the node lacks something, the least deserving first. What images hold is
// taken back before any pod has to go for the disk.
func (k *Kubelet) evictForPressure(ctx context.Context, now time.Time) {
	short := k.evictAt.short(k.free)
	k.notePressure(short, now)
	if len(short) == 0 || now.Sub(k.self.evicted) < leasePeriod {
		return
	}
	s := short[0]
	if s.reclaim && k.reclaim(ctx, now) {
		return
	}
	use, err := k.podUse(ctx)
	if err != nil {
		k.cfg.Log.Warn("the use of pods is not known, they are ranked by their priority", "err", err)
	}
	if w, u := victim(k.all(), s, use); w != nil {
		k.self.evicted = now
		k.evict(w, fmt.Sprintf("The node was low on resource: %s. %s%s", s.resource, s, u.blame(w, s)))
		return
	}
	k.cfg.Log.Warn("the node is low on a resource and no pod can be evicted", "resource", s.resource, "left", s.left, "threshold", s.at)
}

// notePressure keeps the node's conditions for a while after their cause was seen.
func (k *Kubelet) notePressure(short []shortage, now time.Time) {
	for _, s := range short {
		if k.pressed[s.condition].IsZero() {
			k.rec.EventOn(k.nodeRef(), corev1.EventTypeWarning, "EvictionThresholdMet", "Attempting to reclaim %s", s.resource)
		}
		k.pressed[s.condition] = now
	}
	for c, seen := range k.pressed {
		if now.Sub(seen) >= pressureLasts {
			delete(k.pressed, c)
		}
	}
	var list []corev1.NodeConditionType
	for c := range k.pressed {
		list = append(list, c)
	}
	slices.Sort(list)
	k.pressing.Store(&list)
}

// reclaim removes unused images, and says that enough came free.
func (k *Kubelet) reclaim(ctx context.Context, now time.Time) bool {
	if now.Sub(k.self.reclaimed) < imagePeriod {
		return false
	}
	k.self.reclaimed = now
	if err := k.removeUnusedImages(ctx, now); err != nil {
		k.cfg.Log.Warn("unused images not removed", "err", err)
	}
	free, err := machine.Pressure(k.cfg.RootDir, k.imageDir)
	if err != nil {
		return false
	}
	k.free = free
	return !slices.ContainsFunc(k.evictAt.short(free), func(s shortage) bool { return s.reclaim })
}

func (k *Kubelet) evict(w *worker, message string) {
	w.mu.Lock()
	pod := w.next
	w.mu.Unlock()
	if critical(pod) {
		k.cfg.Log.Warn("a critical pod is not evicted", "pod", pod.Namespace+"/"+pod.Name, "why", message)
		return
	}
	k.node.Event(pod, "", corev1.EventTypeWarning, "Evicted", "%s", message)
	w.note(func() {
		if w.evict == nil {
			w.evict = &decide.Stop{Grace: evictGrace, Reason: "Evicted", Message: message}
		}
	})
}

// underPressure refuses pods that would make it worse. A pod that asked for nothing is refused for lack of memory, any
// pod for lack of anything else; what the cluster cannot do without comes in.
func (k *Kubelet) underPressure(pod *corev1.Pod) (reason, message string) {
	list := k.pressing.Load()
	if list == nil || len(*list) == 0 || critical(pod) {
		return "", ""
	}
	if slices.Equal(*list, []corev1.NodeConditionType{corev1.NodeMemoryPressure}) && (steps.Class(pod) != corev1.PodQOSBestEffort || toleratesMemory(pod)) {
		return "", ""
	}
	var names []string
	for _, c := range *list {
		names = append(names, string(c))
	}
	return "Evicted", fmt.Sprintf("The node had condition: [%s]. ", strings.Join(names, " "))
}

func toleratesMemory(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
		return (t.Key == corev1.TaintNodeMemoryPressure || t.Key == "" && t.Operator == corev1.TolerationOpExists) && (t.Effect == "" || t.Effect == corev1.TaintEffectNoSchedule)
	})
}

// critical says that a pod is one which the cluster or its node cannot do without.
func critical(pod *corev1.Pod) bool { return isStatic(pod) || priority(pod) >= systemCritical }

func priority(pod *corev1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}
