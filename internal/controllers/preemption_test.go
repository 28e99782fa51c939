package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// TestImportantPodGetsRoom fills the node and has a more important pod come, and then one that waits instead.
func TestImportantPodGetsRoom(t *testing.T) {
	h := open(t)
	ctx, pods := t.Context(), client.Of(h.c, client.Pods)
	create := func(name string, priority int32, cpu string, policy corev1.PreemptionPolicy) {
		_, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Finalizers: map[string][]string{"low": {"test/hold"}}[name]},
			Spec: corev1.PodSpec{Priority: &priority, PreemptionPolicy: &policy, Containers: []corev1.Container{{Name: "c", Image: "a",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}}})
		h.must(err)
	}
	runs := func(name string) func() (bool, string) {
		return func() (bool, string) {
			p, err := pods.Get(ctx, "default", name)
			h.must(err)
			return p.Status.Phase == corev1.PodRunning, p.Status.String()
		}
	}
	create("low", 1, "3", corev1.PreemptLowerPriority)
	h.until("the first runs", runs("low"))
	create("patient", 10, "2", corev1.PreemptNever)
	create("high", 10, "3", corev1.PreemptLowerPriority)
	h.until("the first is sent away, with the reason, and its room is promised", func() (bool, string) {
		low, err := pods.Get(ctx, "default", "low")
		h.must(err)
		high, err := pods.Get(ctx, "default", "high")
		h.must(err)
		for _, c := range low.Status.Conditions {
			if c.Type == corev1.DisruptionTarget && c.Reason == corev1.PodReasonPreemptionByScheduler {
				return low.DeletionTimestamp != nil && high.Status.NominatedNodeName == "n1", low.Status.String()
			}
		}
		return false, low.Status.String()
	})
	// By a patch: others write to the pod too.
	_, err := pods.Patch(ctx, "default", "low", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if !apierrors.IsNotFound(err) {
		h.must(err)
	}
	h.until("the important pod runs", runs("high"))
	patient, err := pods.Get(ctx, "default", "patient")
	h.must(err)
	if patient.Spec.NodeName != "" {
		t.Errorf("the patient pod took the room: %s", patient.Status.String())
	}
}
