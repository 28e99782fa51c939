package deployment

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Upstream's reasons.
const (
	reasonNewSet       = "NewReplicaSetCreated"
	reasonFoundSet     = "FoundNewReplicaSet"
	reasonUpdated      = "ReplicaSetUpdated"
	reasonDone         = "NewReplicaSetAvailable"
	reasonTimedOut     = "ProgressDeadlineExceeded"
	reasonPaused       = "DeploymentPaused"
	reasonResumed      = "DeploymentResumed"
	reasonAvailable    = "MinimumReplicasAvailable"
	reasonUnavailable  = "MinimumReplicasUnavailable"
	reasonCreateFailed = "ReplicaSetCreateError"
)

// status sums up the ReplicaSets; wait is the time left to the progress deadline.
func (r *round) status() (appsv1.DeploymentStatus, time.Duration) {
	st := appsv1.DeploymentStatus{ObservedGeneration: r.dep.Generation, CollisionCount: r.dep.Status.CollisionCount}
	terminating := int32(0)
	for _, rs := range r.all() {
		st.Replicas += rs.Status.Replicas
		st.ReadyReplicas += rs.Status.ReadyReplicas
		st.AvailableReplicas += rs.Status.AvailableReplicas
		if rs.Status.TerminatingReplicas != nil {
			terminating += *rs.Status.TerminatingReplicas
		}
	}
	st.TerminatingReplicas = &terminating
	wanted := int32(0)
	for _, rs := range r.all() {
		wanted += *rs.Spec.Replicas
	}
	st.UnavailableReplicas = max(wanted-st.AvailableReplicas, 0)
	if r.current != nil {
		st.UpdatedReplicas = r.current.Status.Replicas
	}
	for _, c := range r.dep.Status.Conditions {
		st.Conditions = append(st.Conditions, *c.DeepCopy())
	}
	r.available(&st)
	dropCondition(&st, appsv1.DeploymentReplicaFailure)
	r.replicaFailure(&st)
	return st, r.progress(&st)
}

func (r *round) available(st *appsv1.DeploymentStatus) {
	_, unavailable := bounds(r.dep)
	if st.AvailableReplicas >= *r.dep.Spec.Replicas-unavailable {
		r.set(st, appsv1.DeploymentAvailable, corev1.ConditionTrue, reasonAvailable, "Deployment has minimum availability.")
		return
	}
	r.set(st, appsv1.DeploymentAvailable, corev1.ConditionFalse, reasonUnavailable, "Deployment does not have minimum availability.")
}

func (r *round) replicaFailure(st *appsv1.DeploymentStatus) {
	for _, rs := range r.all() {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				r.set(st, appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message)
				return
			}
		}
	}
}

// complete reports whether everything asked for runs from today's template and nothing else does.
func complete(d *appsv1.Deployment, st appsv1.DeploymentStatus) bool {
	want := *d.Spec.Replicas
	return st.UpdatedReplicas == want && st.Replicas == want && st.AvailableReplicas == want && st.ObservedGeneration >= d.Generation
}

// progress keeps the Progressing condition and returns how long until the deadline has to be looked at.
func (r *round) progress(st *appsv1.DeploymentStatus) time.Duration {
	had := condition(r.dep.Status, appsv1.DeploymentProgressing)
	if r.dep.Spec.Paused {
		if had == nil || had.Reason != reasonTimedOut {
			r.set(st, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
		}
		return 0
	}
	if r.dep.Spec.ProgressDeadlineSeconds == nil || *r.dep.Spec.ProgressDeadlineSeconds == 1<<31-1 {
		dropCondition(st, appsv1.DeploymentProgressing)
		return 0
	}
	if had != nil && had.Reason == reasonPaused {
		r.set(st, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonResumed, "Deployment is resumed")
		return time.Second
	}
	name := r.dep.Name
	subject := fmt.Sprintf("Deployment %q", name)
	if r.current != nil {
		subject = fmt.Sprintf("ReplicaSet %q", r.current.Name)
	}
	switch {
	case complete(r.dep, *st) && (had == nil || had.Reason != reasonDone || r.moved(*st)):
		r.touch(st, reasonDone, subject+" has successfully progressed.")
		return 0
	case had != nil && had.Reason == reasonDone && !r.rolling(*st):
		return 0
	case r.plan.create != nil:
		r.touch(st, reasonNewSet, fmt.Sprintf("Created new replica set %q", r.plan.create.Name))
	case had == nil:
		r.touch(st, reasonFoundSet, "Found new replica set "+fmt.Sprintf("%q", subjectName(r)))
	case r.moved(*st):
		r.touch(st, reasonUpdated, subject+" is progressing.")
	default:
		return r.deadline(st, had, subject)
	}
	return time.Duration(*r.dep.Spec.ProgressDeadlineSeconds) * time.Second
}

func subjectName(r *round) string {
	if r.current == nil {
		return r.dep.Name
	}
	return r.current.Name
}

// rolling reports whether a rollout is under way again after a finished one.
func (r *round) rolling(st appsv1.DeploymentStatus) bool {
	return r.plan.create != nil || st.UpdatedReplicas < *r.dep.Spec.Replicas && r.dep.Status.ObservedGeneration < r.dep.Generation ||
		st.Replicas > st.UpdatedReplicas
}

// moved reports whether the rollout came forward since the last status.
func (r *round) moved(st appsv1.DeploymentStatus) bool {
	was := r.dep.Status
	oldNow, oldWas := st.Replicas-st.UpdatedReplicas, was.Replicas-was.UpdatedReplicas
	return st.UpdatedReplicas > was.UpdatedReplicas || oldNow < oldWas || st.ReadyReplicas > was.ReadyReplicas || st.AvailableReplicas > was.AvailableReplicas
}

func (r *round) deadline(st *appsv1.DeploymentStatus, had *appsv1.DeploymentCondition, subject string) time.Duration {
	if had.Reason == reasonTimedOut {
		return 0
	}
	left := time.Duration(*r.dep.Spec.ProgressDeadlineSeconds)*time.Second - r.now.Sub(had.LastUpdateTime.Time)
	if left > 0 {
		return left
	}
	r.set(st, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, subject+" has timed out progressing.")
	return 0
}

// touch sets Progressing to true and restarts the deadline.
func (r *round) touch(st *appsv1.DeploymentStatus, reason, message string) {
	r.set(st, appsv1.DeploymentProgressing, corev1.ConditionTrue, reason, message)
	condition(*st, appsv1.DeploymentProgressing).LastUpdateTime = metav1.NewTime(r.now)
}

// set changes a condition; its times move only when it changes.
func (r *round) set(st *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) {
	now := metav1.NewTime(r.now)
	had := condition(*st, t)
	if had == nil {
		st.Conditions = append(st.Conditions, appsv1.DeploymentCondition{Type: t, Status: status, Reason: reason, Message: message,
			LastUpdateTime: now, LastTransitionTime: now})
		return
	}
	if had.Status == status && had.Reason == reason && had.Message == message {
		return
	}
	if had.Status != status {
		had.LastTransitionTime = now
	}
	had.Status, had.Reason, had.Message, had.LastUpdateTime = status, reason, message, now
}

// condition returns a pointer into st.Conditions, or nil.
func condition(st appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range st.Conditions {
		if st.Conditions[i].Type == t {
			return &st.Conditions[i]
		}
	}
	return nil
}

func dropCondition(st *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	var kept []appsv1.DeploymentCondition
	for _, c := range st.Conditions {
		if c.Type != t {
			kept = append(kept, c)
		}
	}
	st.Conditions = kept
}

// withFailure notes that a ReplicaSet could not be written.
func withFailure(st appsv1.DeploymentStatus, failure error, now time.Time) appsv1.DeploymentStatus {
	r := &round{now: now}
	r.set(&st, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonCreateFailed, failure.Error())
	return st
}
