package replicaset

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// adopt gives an orphan to the set whose selector matches it.
func adopt(ctx context.Context, c *client.Client, ref *metav1.OwnerReference, pod *corev1.Pod) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "ownerReferences": []any{ref}}})
	if err != nil {
		return err
	}
	_, err = client.Of(c, client.Pods).Patch(ctx, pod.Namespace, pod.Name, types.StrategicMergePatchType, patch)
	return err
}

// release takes rs off a pod that its selector no longer matches.
func release(ctx context.Context, c *client.Client, rs *appsv1.ReplicaSet, pod *corev1.Pod) error {
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"ownerReferences":[{"$patch":"delete","uid":%q}]}}`, pod.UID, rs.UID)
	_, err := client.Of(c, client.Pods).Patch(ctx, pod.Namespace, pod.Name, types.StrategicMergePatchType, []byte(patch))
	return err
}
