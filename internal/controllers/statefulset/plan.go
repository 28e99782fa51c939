package statefulset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/controllers/pods"
)

// plan is the next step of one StatefulSet.
type plan struct {
	create    []int         // ordinals
	remove    []*corev1.Pod // scaled away, ended, or of an old revision
	ended     []*corev1.Pod // those of remove that ended by themselves
	mend      []*corev1.Pod // without their identity
	claims    []*corev1.Pod // pending, perhaps for want of a claim
	kept      []*corev1.Pod // within the replicas
	condemned []*corev1.Pod // beyond them, highest first
	status    appsv1.StatefulSetStatus
	lookAgain time.Duration // when a ready pod becomes available
}

// look is one look at a set.
type look struct {
	set             *appsv1.StatefulSet
	current, update string
	now             time.Time
	wait            time.Duration
}

// makePlan is pure. mine are the set's pods; current and update name the revisions that a rollout goes between.
func makePlan(set *appsv1.StatefulSet, mine []*corev1.Pod, current, update string, now time.Time) plan {
	l := &look{set: set, current: current, update: update, now: now}
	var p plan
	slots := make([]*corev1.Pod, *set.Spec.Replicas)
	for _, pod := range mine {
		if i := ordinal(set, pod) - start(set); i >= 0 && i < len(slots) {
			slots[i] = pod
			p.kept = append(p.kept, pod)
		} else {
			p.condemned = append(p.condemned, pod)
		}
	}
	slices.SortFunc(p.condemned, func(a, b *corev1.Pod) int { return ordinal(set, b) - ordinal(set, a) })
	if l.fill(&p, slots) && l.shrink(&p, l.firstUnhealthy(slots, p.condemned)) {
		l.roll(&p, slots)
	}
	p.status = l.status(mine)
	p.lookAgain = l.wait
	return p
}

func (l *look) ordered() bool {
	return l.set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
}

// available reports whether a pod serves: running, ready for long enough and not about to go.
func (l *look) available(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
		return false
	}
	ok, wait := pods.Available(p, time.Duration(l.set.Spec.MinReadySeconds)*time.Second, l.now)
	if wait > 0 && (l.wait == 0 || wait < l.wait) {
		l.wait = wait
	}
	return ok
}

// fill makes what is missing, lowest first, and reports whether the walk may go on.
func (l *look) fill(p *plan, slots []*corev1.Pod) bool {
	more := true
	for i, pod := range slots {
		switch {
		case pod == nil:
			p.create = append(p.create, start(l.set)+i)
			if l.ordered() {
				return false
			}
			continue
		case pods.Ended(pod):
			if pod.DeletionTimestamp == nil {
				p.ended = append(p.ended, pod)
				p.remove = append(p.remove, pod)
			}
			if l.ordered() {
				return false
			}
			more = false
			continue
		}
		if pod.Status.Phase == corev1.PodPending {
			p.claims = append(p.claims, pod)
		}
		if l.ordered() && !l.available(pod) {
			return false
		}
		if !known(l.set, pod) && pod.DeletionTimestamp == nil {
			p.mend = append(p.mend, pod)
		}
	}
	return more
}

// firstUnhealthy is the pod that may be taken away although it does not serve.
func (l *look) firstUnhealthy(slots, condemned []*corev1.Pod) (first *corev1.Pod) {
	for _, pod := range slices.Concat(slots, condemned) {
		if pod != nil && !l.available(pod) && (first == nil || ordinal(l.set, pod) < ordinal(l.set, first)) {
			first = pod
		}
	}
	return first
}

// shrink takes away what is too much, highest first, and reports whether the walk may go on.
func (l *look) shrink(p *plan, unhealthy *corev1.Pod) bool {
	for _, pod := range p.condemned {
		if pod.DeletionTimestamp != nil {
			if l.ordered() {
				return false
			}
			continue
		}
		if l.ordered() && !l.available(pod) && pod != unhealthy {
			return false
		}
		p.remove = append(p.remove, pod)
		if l.ordered() {
			return false
		}
	}
	return true
}

// roll replaces pods of old revisions from the highest number down to the partition; at most maxUnavailable do not serve.
func (l *look) roll(p *plan, slots []*corev1.Pod) {
	if l.set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	down, least := 1, 0
	if ru := l.set.Spec.UpdateStrategy.RollingUpdate; ru != nil {
		if ru.Partition != nil {
			least = max(int(*ru.Partition)-start(l.set), 0)
		}
		if ru.MaxUnavailable != nil {
			if n, err := intstr.GetScaledValueFromIntOrPercent(ru.MaxUnavailable, len(slots), true); err == nil {
				down = max(n, 1)
			}
		}
	}
	for i := len(slots) - 1; i >= least && down > 0; i-- {
		pod := slots[i]
		switch {
		case pod == nil:
			down--
		case pod.Labels[appsv1.StatefulSetRevisionLabel] != l.update:
			if pod.DeletionTimestamp == nil {
				p.remove = append(p.remove, pod)
			}
			down--
		case !l.available(pod):
			down--
		}
	}
}

// useCurrent reports whether pod n is to be made of the old revision: below the partition of a rollout.
func useCurrent(set *appsv1.StatefulSet, n int) bool {
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return false
	}
	ru := set.Spec.UpdateStrategy.RollingUpdate
	if ru == nil || ru.Partition == nil {
		return n < start(set)+int(set.Status.CurrentReplicas)
	}
	return n < int(*ru.Partition)
}

func (l *look) status(mine []*corev1.Pod) appsv1.StatefulSetStatus {
	st := appsv1.StatefulSetStatus{ObservedGeneration: l.set.Generation, CurrentRevision: l.current, UpdateRevision: l.update,
		Conditions: l.set.Status.Conditions}
	for _, p := range mine {
		if pods.Ended(p) {
			continue
		}
		st.Replicas++
		if p.Status.Phase == corev1.PodRunning && pods.Ready(p) {
			st.ReadyReplicas++
			if l.available(p) {
				st.AvailableReplicas++
			}
		}
		if p.DeletionTimestamp != nil {
			continue
		}
		switch p.Labels[appsv1.StatefulSetRevisionLabel] {
		case l.update:
			st.UpdatedReplicas++
			if l.current == l.update {
				st.CurrentReplicas++
			}
		case l.current:
			st.CurrentReplicas++
		}
	}
	rolled := st.UpdatedReplicas == st.Replicas && st.ReadyReplicas == st.Replicas && st.Replicas == *l.set.Spec.Replicas
	if l.set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType && rolled {
		st.CurrentReplicas, st.CurrentRevision = st.UpdatedReplicas, l.update
	}
	return st
}
