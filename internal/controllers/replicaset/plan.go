package replicaset

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/controllers/pods"
)

// plan is what to do about one ReplicaSet now.
type plan struct {
	adopt, release []*corev1.Pod
	remove         []*corev1.Pod
	create         int
	status         appsv1.ReplicaSetStatus
	lookAgain      time.Duration // when a ready pod becomes available
	missing        int           // wanted less active, for the failure condition
}

// makePlan is pure. candidates are the pods that rs controls and the orphans of its namespace.
func makePlan(rs *appsv1.ReplicaSet, sel labels.Selector, candidates []*corev1.Pod, now time.Time) plan {
	var p plan
	var active, ending []*corev1.Pod
	for _, pod := range candidates {
		owned := pods.ControllerUID(pod) == rs.UID
		matches := sel.Matches(labels.Set(pod.Labels))
		switch {
		case owned && !matches:
			if pod.DeletionTimestamp == nil && rs.DeletionTimestamp == nil {
				p.release = append(p.release, pod)
			}
			continue
		case !owned && (!matches || rs.DeletionTimestamp != nil || !pods.Active(pod)):
			continue
		case !owned:
			p.adopt = append(p.adopt, pod)
		}
		switch {
		case pods.Active(pod):
			active = append(active, pod)
		case pod.DeletionTimestamp != nil && !pods.Ended(pod):
			ending = append(ending, pod)
		}
	}
	if rs.DeletionTimestamp == nil {
		p.missing = int(*rs.Spec.Replicas) - len(active)
		p.create = max(p.missing, 0)
		if p.missing < 0 {
			pods.RankForDeletion(active)
			p.remove = active[:-p.missing]
		}
	}
	p.status, p.lookAgain = status(rs, active, ending, now)
	return p
}

func status(rs *appsv1.ReplicaSet, active, ending []*corev1.Pod, now time.Time) (appsv1.ReplicaSetStatus, time.Duration) {
	terminating := int32(len(ending))
	st := appsv1.ReplicaSetStatus{Replicas: int32(len(active)), TerminatingReplicas: &terminating,
		ObservedGeneration: rs.Generation, Conditions: rs.Status.Conditions}
	template := labels.Set(rs.Spec.Template.Labels).AsSelectorPreValidated()
	var again time.Duration
	for _, pod := range active {
		if template.Matches(labels.Set(pod.Labels)) {
			st.FullyLabeledReplicas++
		}
		if !pods.Ready(pod) {
			continue
		}
		st.ReadyReplicas++
		ok, wait := pods.Available(pod, time.Duration(rs.Spec.MinReadySeconds)*time.Second, now)
		if ok {
			st.AvailableReplicas++
		} else if again == 0 || wait < again {
			again = wait
		}
	}
	return st, again
}

// setFailure adds or removes the ReplicaFailure condition.
func setFailure(st *appsv1.ReplicaSetStatus, before []appsv1.ReplicaSetCondition, failure error, p plan, now time.Time) {
	st.Conditions = nil
	var had *appsv1.ReplicaSetCondition
	for i := range before {
		if before[i].Type == appsv1.ReplicaSetReplicaFailure {
			had = &before[i]
		} else {
			st.Conditions = append(st.Conditions, before[i])
		}
	}
	if failure == nil {
		return
	}
	c := appsv1.ReplicaSetCondition{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		Reason: "FailedCreate", Message: failure.Error(), LastTransitionTime: metav1.NewTime(now)}
	if p.missing < 0 {
		c.Reason = "FailedDelete"
	}
	if had != nil && had.Reason == c.Reason {
		c.LastTransitionTime = had.LastTransitionTime
		c.Message = had.Message // the first words stay: generated names in them would make every try a new status
	}
	st.Conditions = append(st.Conditions, c)
}
