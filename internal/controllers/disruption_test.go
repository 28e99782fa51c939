package controllers_test

import (
	"fmt"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"minato.dev/minato/internal/client"
)

func TestDisruptionBudgetFollowsPodsAndScale(t *testing.T) {
	h := open(t)
	ctx, door := t.Context(), client.Of(h.c, client.PodDisruptionBudgets)
	_, err := client.Of(h.c, client.Deployments).Create(ctx, web(3, "a"))
	h.must(err)
	one := intstr.FromInt32(1)
	_, err = door.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}})
	h.must(err)
	status := func(expected, desired, healthy, allowed int32) func() (bool, string) {
		return func() (bool, string) {
			b, err := door.Get(ctx, "default", "web")
			h.must(err)
			st := b.Status
			return st.ObservedGeneration == b.Generation && st.ExpectedPods == expected && st.DesiredHealthy == desired &&
				st.CurrentHealthy == healthy && st.DisruptionsAllowed == allowed, fmt.Sprintf("%+v", st)
		}
	}
	h.until("one of three may go", status(3, 2, 3, 1))
	_, err = client.Of(h.c, client.Deployments).Patch(ctx, "default", "web", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`))
	h.must(err)
	h.until("one of one may go", status(1, 0, 1, 1))
	_, err = door.Patch(ctx, "default", "web", types.MergePatchType, []byte(`{"spec":{"maxUnavailable":0}}`))
	h.must(err)
	h.until("none may go", status(1, 1, 1, 0))
}
