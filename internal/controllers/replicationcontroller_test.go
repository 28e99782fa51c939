package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

func TestReplicationControllerKeepsAdoptsAndReleases(t *testing.T) {
	h := open(t)
	ctx, door, pods := t.Context(), client.Of(h.c, client.ReplicationControllers), client.Of(h.c, client.Pods)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "a"}}}}
	_, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "orphan", Labels: template.Labels}, Spec: template.Spec})
	h.must(err)
	two := int32(2)
	rc, err := door.Create(ctx, &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "old"},
		Spec: corev1.ReplicationControllerSpec{Replicas: &two, Template: &template}})
	h.must(err)
	ready := func(n int32) func() (bool, string) {
		return func() (bool, string) {
			rc, err := door.Get(ctx, "default", "old")
			h.must(err)
			st := rc.Status
			return st.ObservedGeneration == rc.Generation && st.Replicas == n && st.ReadyReplicas == n && st.AvailableReplicas == n, fmt.Sprintf("%+v", st)
		}
	}
	h.until("two pods run", ready(2))
	for _, p := range h.pods() {
		if ref := metav1.GetControllerOf(p); ref == nil || ref.UID != rc.UID || ref.Kind != "ReplicationController" || ref.APIVersion != "v1" {
			t.Errorf("pod %s is controlled by %v", p.Name, ref)
		}
	}

	_, err = pods.Patch(ctx, "default", "orphan", types.MergePatchType, []byte(`{"metadata":{"labels":{"app":"other"}}}`))
	h.must(err)
	h.until("the pod is released and another made", func() (bool, string) {
		p, err := pods.Get(ctx, "default", "orphan")
		h.must(err)
		n := len(h.pods())
		return len(p.OwnerReferences) == 0 && n == 2, fmt.Sprintf("owners %v, %d pods", p.OwnerReferences, n)
	})

	_, err = door.Patch(ctx, "default", "old", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`))
	h.must(err)
	h.until("one pod runs", ready(1))
	background := metav1.DeletePropagationBackground // unlike other kinds, a controller leaves its pods unless it is told otherwise
	h.must(door.Delete(ctx, "default", "old", metav1.DeleteOptions{PropagationPolicy: &background}))
	h.until("its pods are collected", func() (bool, string) { n := len(h.pods()); return n == 0, fmt.Sprint(n, " pods") })
}
