package deployment

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxSurge is how many pods may run beyond the replicas during a rollout.
func maxSurge(d *appsv1.Deployment) int32 {
	surge, _ := bounds(d)
	return surge
}

// bounds resolves maxSurge (rounded up) and maxUnavailable (rounded down); where both come to zero one pod may be
// missing, so that a rollout can move.
func bounds(d *appsv1.Deployment) (surge, unavailable int32) {
	ru := d.Spec.Strategy.RollingUpdate
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || ru == nil || *d.Spec.Replicas == 0 {
		return 0, 0
	}
	n := int(*d.Spec.Replicas)
	up, err1 := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(ru.MaxSurge, intstr.FromInt32(0)), n, true)
	down, err2 := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(ru.MaxUnavailable, intstr.FromInt32(0)), n, false)
	if err1 != nil || err2 != nil || up == 0 && down == 0 {
		return 0, 1
	}
	return int32(up), min(int32(down), int32(n))
}

// roll is one round of a rolling update: grow today's ReplicaSet into the surge; where that cannot move, shrink the
// old ones as far as enough pods stay available.
func (r *round) roll() {
	want := *r.dep.Spec.Replicas
	surge, unavailable := bounds(r.dep)
	total := int32(0)
	for _, rs := range r.old {
		total += r.replicas(rs)
	}
	if r.current == nil {
		r.newCurrent(min(want, max(want+surge-total, 0)))
		return
	}
	have := r.replicas(r.current)
	switch {
	case have > want:
		r.scale(r.current, want)
		return
	case have < want && want+surge-total-have > 0:
		r.scale(r.current, have+min(want-have, want+surge-total-have))
		return
	}
	r.scale(r.current, have) // refreshes the annotations where the surge has changed
	r.shrink(want-unavailable, total)
}

// shrink takes pods from the old ReplicaSets: first those that are not available anyway, then as many as leave
// minAvailable available.
func (r *round) shrink(minAvailable, total int32) {
	if total == 0 {
		return
	}
	have := r.replicas(r.current)
	newUnavailable := have - r.current.Status.AvailableReplicas
	room := total + have - minAvailable - newUnavailable
	if room <= 0 {
		return
	}
	for _, rs := range r.old {
		if sick := min(r.replicas(rs)-rs.Status.AvailableReplicas, room); sick > 0 {
			r.scale(rs, r.replicas(rs)-sick)
			room -= sick
		}
	}
	available := r.current.Status.AvailableReplicas
	for _, rs := range r.old {
		available += min(rs.Status.AvailableReplicas, r.replicas(rs))
	}
	for _, rs := range r.old {
		if take := min(r.replicas(rs), available-minAvailable); take > 0 {
			r.scale(rs, r.replicas(rs)-take)
			available -= take
		}
	}
}

// recreate ends every old pod before it starts the first new one.
func (r *round) recreate() {
	moving := false
	for _, rs := range r.old {
		if r.replicas(rs) > 0 {
			r.scale(rs, 0)
			moving = true
		}
	}
	if moving {
		return
	}
	for _, rs := range r.old {
		if r.podsLeft(rs) > 0 {
			return
		}
	}
	if r.current == nil {
		r.newCurrent(*r.dep.Spec.Replicas)
		return
	}
	r.scale(r.current, *r.dep.Spec.Replicas)
}

// scaled reports whether the Deployment's replicas changed since its ReplicaSets were last scaled.
func (r *round) scaled() bool {
	for _, rs := range r.all() {
		if r.replicas(rs) == 0 {
			continue
		}
		if d, ok := rs.Annotations[desiredAnnotation]; ok && d != itoa(*r.dep.Spec.Replicas) {
			return true
		}
	}
	return false
}

func (r *round) all() []*appsv1.ReplicaSet {
	if r.current == nil {
		return r.old
	}
	return append([]*appsv1.ReplicaSet{r.current}, r.old...)
}

// scaleProportionally follows a change of replicas, also in the middle of a rollout, where each active ReplicaSet
// grows or shrinks by its share.
func (r *round) scaleProportionally() {
	var active []*appsv1.ReplicaSet
	total := int32(0)
	for _, rs := range r.all() {
		if n := r.replicas(rs); n > 0 {
			active = append(active, rs)
			total += n
		}
	}
	switch {
	case len(active) == 0 && r.current != nil:
		r.scale(r.current, *r.dep.Spec.Replicas)
		return
	case len(active) == 0:
		return
	case len(active) == 1:
		r.scale(active[0], *r.dep.Spec.Replicas)
		return
	}
	if r.current != nil && r.replicas(r.current) >= *r.dep.Spec.Replicas && r.current.Status.AvailableReplicas >= *r.dep.Spec.Replicas {
		for _, rs := range r.old {
			r.scale(rs, 0)
		}
		r.scale(r.current, *r.dep.Spec.Replicas)
		return
	}
	allowed := *r.dep.Spec.Replicas + maxSurge(r.dep)
	r.share(active, allowed-total)
}

// share spreads delta over the active ReplicaSets in the proportion in which the Deployment grows, the largest first; what
// rounding leaves goes to the largest. Of equals the newer grows and the older shrinks first.
func (r *round) share(active []*appsv1.ReplicaSet, delta int32) {
	slices.SortStableFunc(active, func(a, b *appsv1.ReplicaSet) int {
		newer := b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
		if delta < 0 {
			newer = -newer
		}
		return cmp.Or(cmp.Compare(r.replicas(b), r.replicas(a)), newer, cmp.Compare(a.Name, b.Name))
	})
	left := delta
	target := make([]int32, len(active))
	for i, rs := range active {
		part := r.growth(rs)
		switch {
		case delta > 0:
			part = min(part, left)
		case delta < 0:
			part = max(part, left)
		default:
			part = 0
		}
		target[i] = r.replicas(rs) + part
		left -= part
	}
	target[0] += left
	for i, rs := range active {
		r.scale(rs, max(target[i], 0))
	}
}

// growth is by how much rs changes when it keeps its share of all pods that the Deployment may have. How many those were
// before stands in an annotation of rs.
func (r *round) growth(rs *appsv1.ReplicaSet) int32 {
	n, want := r.replicas(rs), *r.dep.Spec.Replicas
	if want == 0 {
		return -n
	}
	before, err := strconv.ParseInt(rs.Annotations[maxAnnotation], 10, 32)
	if err != nil || before <= 0 {
		if before = int64(r.dep.Status.Replicas); before == 0 {
			return 0
		}
	}
	return int32(math.Round(float64(n)*float64(want+maxSurge(r.dep))/float64(before))) - n
}
