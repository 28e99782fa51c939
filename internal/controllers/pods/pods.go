// Package pods holds what several controllers ask of pods: is it ready, available, active, whose is it.
//
// All functions are pure and safe for concurrent use.
package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// OwnerIndex is the name of the index of pods by the UID of their controller; orphans are under "".
const OwnerIndex = "controller-uid"

// IndexByOwner adds OwnerIndex to a view of pods.
func IndexByOwner(v *client.View[*corev1.Pod]) {
	v.Index(OwnerIndex, func(p *corev1.Pod) []string { return []string{string(ControllerUID(p))} })
}

// ControllerUID is the UID of the object's managing controller, or "".
func ControllerUID(o metav1.Object) types.UID {
	if ref := metav1.GetControllerOf(o); ref != nil {
		return ref.UID
	}
	return ""
}

// Condition returns the condition of type t, or nil.
func Condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// Ready reports whether the pod's Ready condition is true.
func Ready(p *corev1.Pod) bool {
	c := Condition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// Available reports whether the pod has been ready for minReady; wait is how long until it will be, if nothing changes
// (0: it is available, or not ready at all).
func Available(p *corev1.Pod, minReady time.Duration, now time.Time) (ok bool, wait time.Duration) {
	if !Ready(p) {
		return false, 0
	}
	since := now.Sub(Condition(p, corev1.PodReady).LastTransitionTime.Time)
	if since >= minReady {
		return true, 0
	}
	return false, minReady - since
}

// Ended reports whether all containers have ended for good.
func Ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Active reports whether the pod runs or will run, and is not being deleted.
func Active(p *corev1.Pod) bool { return !Ended(p) && p.DeletionTimestamp == nil }
