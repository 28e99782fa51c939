package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

func TestOwnersInACircleGo(t *testing.T) {
	h := open(t)
	ctx, door := t.Context(), client.Of(h.c, client.Pods)
	uids := map[string]types.UID{}
	for _, name := range []string{"a", "b", "c"} {
		p, err := door.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "a"}}}})
		h.must(err)
		uids[name] = p.UID
	}
	for name, owner := range map[string]string{"a": "c", "b": "a", "c": "b"} {
		patch := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":%q,"uid":%q,"controller":true,"blockOwnerDeletion":true}]}}`, owner, uids[owner])
		_, err := door.Patch(ctx, "default", name, types.MergePatchType, []byte(patch))
		h.must(err)
	}
	foreground := metav1.DeletePropagationForeground
	h.must(door.Delete(ctx, "default", "a", metav1.DeleteOptions{PropagationPolicy: &foreground}))
	h.until("all three are gone", func() (bool, string) {
		left := h.pods()
		names := []string{}
		for _, p := range left {
			names = append(names, p.Name)
		}
		return len(left) == 0, fmt.Sprint(names)
	})
}
