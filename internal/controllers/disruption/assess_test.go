package disruption

import (
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var now = time.Unix(1800000000, 0)

func pod(name, owner string, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if owner != "" {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: &yes}}
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func value(s string) *intstr.IntOrString { v := intstr.Parse(s); return &v }

func TestAssess(t *testing.T) {
	leaving := pod("leaving", "a", true)
	leaving.DeletionTimestamp = &metav1.Time{Time: now}
	three := []*corev1.Pod{pod("1", "a", true), pod("2", "a", true), pod("3", "a", false)}
	for _, c := range []struct {
		name         string
		least, most  string
		pods         []*corev1.Pod
		evicted      map[string]time.Duration // name: how long ago
		want         string                   // expected desired healthy allowed
		wait         time.Duration
		notedAfter   int
		unknownScale bool
	}{
		{name: "a plain minimum", least: "1", pods: three, want: "3 1 2 1"},
		{name: "a minimum that is not reached", least: "3", pods: three, want: "3 3 2 0"},
		{name: "a minimum counts pods that nothing controls", least: "1", pods: []*corev1.Pod{pod("1", "", true), pod("2", "", true)}, want: "2 1 2 1"},
		{name: "a share of the scale, rounded up", least: "50%", pods: three, want: "5 3 2 0"},
		{name: "at most one away", most: "1", pods: three, want: "5 4 2 0"},
		{name: "at most all away", most: "100%", pods: three, want: "5 0 2 2"},
		{name: "two owners", most: "6", pods: []*corev1.Pod{pod("1", "a", true), pod("2", "b", true)}, want: "10 4 2 0"},
		{name: "nothing controls the pod", most: "1", pods: []*corev1.Pod{pod("1", "", true)}, want: "0 0 1 0"},
		{name: "no pods", least: "0", want: "0 0 0 0"},
		{name: "a pod that is being deleted is not healthy", least: "1", pods: append([]*corev1.Pod{leaving}, three...), want: "4 1 2 1"},
		{name: "an eviction counts before its pod goes", least: "1", pods: three, evicted: map[string]time.Duration{"1": time.Minute}, want: "3 1 1 0", wait: time.Minute, notedAfter: 1},
		{name: "and no longer than two minutes", least: "1", pods: three, evicted: map[string]time.Duration{"1": 2 * time.Minute}, want: "3 1 2 1"},
		{name: "nor once the pod is being deleted or gone", least: "1", pods: append([]*corev1.Pod{leaving}, three...), evicted: map[string]time.Duration{"leaving": 0, "gone": 0}, want: "4 1 2 1"},
		{name: "an unknown scale", most: "1", pods: three, unknownScale: true},
	} {
		b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: 7}}
		if c.least != "" {
			b.Spec.MinAvailable = value(c.least)
		}
		if c.most != "" {
			b.Spec.MaxUnavailable = value(c.most)
		}
		b.Status.DisruptedPods = map[string]metav1.Time{}
		for name, ago := range c.evicted {
			b.Status.DisruptedPods[name] = metav1.NewTime(now.Add(-ago))
		}
		scale := func(p *corev1.Pod) (owner, error) {
			if c.unknownScale {
				return owner{}, errors.New("whose pod is that?")
			}
			return owner{p.OwnerReferences[0].UID, 5}, nil
		}
		st, wait, err := assess(b, c.pods, scale, now)
		if c.unknownScale {
			if err == nil {
				t.Errorf("%s: no error", c.name)
			}
			if st := closed(b, err, now); st.DisruptionsAllowed != 0 || st.ObservedGeneration != 7 || st.Conditions[0].Reason != policyv1.SyncFailedReason {
				t.Errorf("%s: %+v", c.name, st)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := fmt.Sprint(st.ExpectedPods, st.DesiredHealthy, st.CurrentHealthy, st.DisruptionsAllowed)
		if got != c.want || wait != c.wait || len(st.DisruptedPods) != c.notedAfter || st.ObservedGeneration != 7 {
			t.Errorf("%s: got %s, wait %v, noted %v; want %s, %v, %d", c.name, got, wait, st.DisruptedPods, c.want, c.wait, c.notedAfter)
		}
		reason := policyv1.InsufficientPodsReason
		if st.DisruptionsAllowed > 0 {
			reason = policyv1.SufficientPodsReason
		}
		if len(st.Conditions) != 1 || st.Conditions[0].Reason != reason || st.Conditions[0].ObservedGeneration != 7 {
			t.Errorf("%s: conditions %+v", c.name, st.Conditions)
		}
	}
}
