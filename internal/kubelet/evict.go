package kubelet

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/steps"
)

// systemCritical is the priority from which a pod is never evicted.
const systemCritical = 2_000_000_000

// evictForPressure ends one pod a round while the node lacks memory or disk, the least deserving first, and every pod
// that has filled an emptyDir beyond its limit.
func (k *Kubelet) evictForPressure(now time.Time) {
	k.evictOverfull()
	memory, disk, _ := pressure(k.free, k.machine)
	what := corev1.ResourceMemory
	threshold, left := int64(leastMemory), k.free.Memory
	switch {
	case memory:
	case disk:
		what, threshold, left = corev1.ResourceEphemeralStorage, k.machine.Disk*leastDisk/100, k.free.Disk
	default:
		return
	}
	if now.Sub(k.self.evicted) < leasePeriod {
		return
	}
	if w := victim(k.all()); w != nil {
		k.self.evicted = now
		k.evict(w, fmt.Sprintf("The node was low on resource: %s. Threshold quantity: %s, available: %s. ", what,
			resource.NewQuantity(threshold, resource.BinarySI), resource.NewQuantity(left, resource.BinarySI)))
	}
}

func (k *Kubelet) evict(w *worker, message string) {
	w.mu.Lock()
	pod := w.next
	w.mu.Unlock()
	k.node.Event(pod, "", corev1.EventTypeWarning, "Evicted", "%s", message)
	w.note(func() {
		if w.evict == nil {
			w.evict = &decide.Stop{Reason: "Evicted", Message: message}
		}
	})
}

// victim is the pod to end: best effort before burstable before guaranteed, then lower priority, then the younger one.
func victim(all []*worker) *worker {
	type candidate struct {
		w   *worker
		pod *corev1.Pod
	}
	var list []candidate
	for _, w := range all {
		w.mu.Lock()
		pod, free := w.next, w.evict == nil && !w.gone && len(w.shownSeen.Live()) > 0
		w.mu.Unlock()
		if free && pod.DeletionTimestamp == nil && priority(pod) < systemCritical {
			list = append(list, candidate{w, pod})
		}
	}
	if len(list) == 0 {
		return nil
	}
	rank := map[corev1.PodQOSClass]int{corev1.PodQOSBestEffort: 0, corev1.PodQOSBurstable: 1, corev1.PodQOSGuaranteed: 2}
	return slices.MinFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(rank[steps.Class(a.pod)], rank[steps.Class(b.pod)]), cmp.Compare(priority(a.pod), priority(b.pod)),
			b.pod.CreationTimestamp.Compare(a.pod.CreationTimestamp.Time))
	}).w
}

func priority(pod *corev1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// evictOverfull ends pods whose emptyDir on disk is larger than its sizeLimit. Those in memory cannot be.
func (k *Kubelet) evictOverfull() {
	for _, w := range k.all() {
		w.mu.Lock()
		pod, p, ending := w.next, w.shownSeen, w.evict != nil || w.gone
		w.mu.Unlock()
		if ending {
			continue
		}
		for i := range pod.Spec.Volumes {
			v := &pod.Spec.Volumes[i]
			if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil || v.EmptyDir.Medium != corev1.StorageMediumDefault || !anyLive(p) {
				continue
			}
			if used := diskUse(k.mounter.Path(pod, v)); used > v.EmptyDir.SizeLimit.Value() {
				k.evict(w, fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", v.Name, v.EmptyDir.SizeLimit.String()))
			}
		}
	}
}

func anyLive(p seen.Pod) bool { return len(p.Live()) > 0 }

// diskUse sums the sizes of the files under dir; files that vanish meanwhile do not count.
func diskUse(dir string) int64 {
	total := int64(0)
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if st, err := d.Info(); err == nil {
			total += st.Size()
		}
		return nil
	})
	return total
}
