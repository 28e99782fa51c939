package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/controllers/pods"
)

// patience is how long an eviction that the API server has noted counts although its pod is still there.
const patience = 2 * time.Minute

// assess returns the status that b should have, and when a noted eviction runs out of patience (0: there is none).
func assess(b *policyv1.PodDisruptionBudget, covered []*corev1.Pod, scale func(*corev1.Pod) (owner, error), now time.Time) (policyv1.PodDisruptionBudgetStatus, time.Duration, error) {
	expected, desired, err := want(b, covered, scale)
	if err != nil {
		return policyv1.PodDisruptionBudgetStatus{}, 0, err
	}
	st := policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, ExpectedPods: expected, DesiredHealthy: desired}
	var again time.Duration
	st.DisruptedPods, again = noted(b.Status.DisruptedPods, covered, now)
	for _, p := range covered {
		if _, leaving := st.DisruptedPods[p.Name]; !leaving && healthy(p) {
			st.CurrentHealthy++
		}
	}
	if expected > 0 {
		st.DisruptionsAllowed = max(st.CurrentHealthy-desired, 0)
	}
	st.Conditions = condition(b, st.DisruptionsAllowed > 0, now)
	return st, again, nil
}

// healthy pods are ready and stay.
func healthy(p *corev1.Pod) bool { return p.DeletionTimestamp == nil && pods.Ready(p) }

// want returns how many pods there should be and how many of them healthy. A plain minimum counts the pods that there are;
// everything else needs to know what their controllers want.
func want(b *policyv1.PodDisruptionBudget, covered []*corev1.Pod, scale func(*corev1.Pod) (owner, error)) (expected, desired int32, err error) {
	atLeast, atMost := b.Spec.MinAvailable, b.Spec.MaxUnavailable
	switch {
	case atMost != nil:
		if expected, err = sum(covered, scale); err != nil {
			return 0, 0, err
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(atMost, int(expected), true)
		return expected, max(expected-int32(n), 0), err
	case atLeast != nil && atLeast.Type == intstr.String:
		if expected, err = sum(covered, scale); err != nil {
			return 0, 0, err
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(atLeast, int(expected), true)
		return expected, int32(n), err
	case atLeast != nil:
		return int32(len(covered)), atLeast.IntVal, nil
	}
	return 0, 0, nil
}

// sum adds up what the owners of the pods want. A pod that nothing controls counts for nothing.
func sum(covered []*corev1.Pod, scale func(*corev1.Pod) (owner, error)) (n int32, err error) {
	seen := map[types.UID]bool{}
	for _, p := range covered {
		if metav1.GetControllerOf(p) == nil {
			continue
		}
		o, err := scale(p)
		if err != nil {
			return 0, err
		}
		if !seen[o.uid] {
			seen[o.uid] = true
			n += o.replicas
		}
	}
	return n, nil
}

// noted keeps the evictions whose pods are still there and not yet being deleted, while there is patience.
func noted(before map[string]metav1.Time, covered []*corev1.Pod, now time.Time) (map[string]metav1.Time, time.Duration) {
	kept := map[string]metav1.Time{}
	var again time.Duration
	for _, p := range covered {
		at, ok := before[p.Name]
		if !ok || p.DeletionTimestamp != nil {
			continue
		}
		left := at.Add(patience).Sub(now)
		if left <= 0 {
			continue
		}
		kept[p.Name] = at
		if again == 0 || left < again {
			again = left
		}
	}
	if len(kept) == 0 {
		return nil, 0
	}
	return kept, again
}

func condition(b *policyv1.PodDisruptionBudget, allowed bool, now time.Time) []metav1.Condition {
	c := metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason, ObservedGeneration: b.Generation}
	if allowed {
		c.Status, c.Reason = metav1.ConditionTrue, policyv1.SufficientPodsReason
	}
	return with(b.Status.Conditions, c, now)
}

func with(before []metav1.Condition, c metav1.Condition, now time.Time) []metav1.Condition {
	list := append([]metav1.Condition(nil), before...)
	c.LastTransitionTime = metav1.NewTime(now)
	meta.SetStatusCondition(&list, c)
	return list
}

// closed is the status of a budget that cannot be assessed: nothing may be evicted until it can.
func closed(b *policyv1.PodDisruptionBudget, problem error, now time.Time) policyv1.PodDisruptionBudgetStatus {
	st := *b.Status.DeepCopy()
	st.ObservedGeneration, st.DisruptionsAllowed = b.Generation, 0
	st.Conditions = with(b.Status.Conditions, metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse,
		Reason: policyv1.SyncFailedReason, Message: problem.Error(), ObservedGeneration: b.Generation}, now)
	return st
}
