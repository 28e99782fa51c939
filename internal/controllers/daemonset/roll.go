package daemonset

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/controllers/pods"
)

// roll is one look at a DaemonSet's rollout.
type roll struct {
	ds       *appsv1.DaemonSet
	hash     string
	minReady time.Duration
	now      time.Time
	wait     time.Duration // until the next ready pod counts as available
}

func (r *roll) updated(p *corev1.Pod) bool {
	return p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == r.hash
}

func (r *roll) available(p *corev1.Pod) bool {
	ok, wait := pods.Available(p, r.minReady, r.now)
	r.wait = sooner(r.wait, wait)
	return ok
}

// bounds are maxSurge and maxUnavailable for a number of nodes. OnDelete has neither.
func (r *roll) bounds(nodes int) (surge, unavailable int) {
	ru := r.ds.Spec.UpdateStrategy.RollingUpdate
	if r.ds.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || ru == nil {
		return 0, 0
	}
	surge = count(ru.MaxSurge, nodes)
	unavailable = count(ru.MaxUnavailable, nodes)
	if surge == 0 && unavailable == 0 {
		unavailable = 1 // percentages that round to nothing must not stop a rollout
	}
	return surge, unavailable
}

func count(v *intstr.IntOrString, nodes int) int {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, nodes, true)
	if err != nil {
		return 0 // validation has refused it
	}
	return n
}

// update names the next pods to replace: those that are not available cost nothing and go first.
func (r *roll) update(p *plan, sites []site) {
	desired := 0
	for _, s := range sites {
		if s.run {
			desired++
		}
	}
	surge, unavailable := r.bounds(desired)
	if surge > 0 {
		r.surge(p, sites, surge)
		return
	}
	var free, costly []*corev1.Pod
	down := 0
	for _, s := range sites {
		if len(s.pods) == 0 {
			continue
		}
		left := remaining(s.pods)
		switch {
		case len(left) != 1:
			down++ // on its way, or for place to mend
		case r.updated(left[0]):
			if !r.available(left[0]) {
				down++
			}
		case !r.available(left[0]):
			free = append(free, left[0])
			down++
		default:
			costly = append(costly, left[0])
		}
	}
	p.remove = append(free, costly[:min(max(unavailable-down, 0), len(costly))]...)
}

// surge makes new pods beside old ones.
func (r *roll) surge(p *plan, sites []site, most int) {
	var free, costly []string
	extra := 0
	for _, s := range sites {
		left := remaining(s.pods)
		switch {
		case len(left) > 1:
			extra++
		case len(left) == 0 || r.updated(left[0]) || !s.run:
		case !r.available(left[0]):
			free = append(free, s.node)
		default:
			costly = append(costly, s.node)
		}
	}
	p.create = append(free, costly[:min(max(most-extra, 0), len(costly))]...)
}

func (r *roll) status(sites []site) appsv1.DaemonSetStatus {
	st := appsv1.DaemonSetStatus{ObservedGeneration: r.ds.Generation, CollisionCount: r.ds.Status.CollisionCount, Conditions: r.ds.Status.Conditions}
	for _, s := range sites {
		if !s.run {
			if len(s.pods) > 0 {
				st.NumberMisscheduled++
			}
			continue
		}
		st.DesiredNumberScheduled++
		if len(s.pods) == 0 {
			continue
		}
		st.CurrentNumberScheduled++
		first := s.pods[0]
		if pods.Ready(first) {
			st.NumberReady++
			if r.available(first) {
				st.NumberAvailable++
			}
		}
		if r.updated(first) {
			st.UpdatedNumberScheduled++
		}
	}
	st.NumberUnavailable = st.DesiredNumberScheduled - st.NumberAvailable
	return st
}
