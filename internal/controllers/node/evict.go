package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

func (n *controller) ofPod(old, new *corev1.Pod) []control.Key {
	if new == nil || new.Spec.NodeName == "" || new.DeletionTimestamp != nil || old != nil && old.Spec.NodeName == new.Spec.NodeName &&
		equality.Semantic.DeepEqual(old.Spec.Tolerations, new.Spec.Tolerations) {
		return nil
	}
	return []control.Key{{Namespace: new.Namespace, Name: new.Name}}
}

func (n *controller) podsOf(old, new *corev1.Node) (keys []control.Key) {
	if new == nil || old != nil && equality.Semantic.DeepEqual(old.Spec.Taints, new.Spec.Taints) {
		return nil
	}
	for _, p := range n.pods.ByIndex(nodeIndex, new.Name) {
		keys = append(keys, control.Key{Namespace: p.Namespace, Name: p.Name})
	}
	return keys
}

// evict deletes a pod whose node has a NoExecute taint that it does not tolerate (any longer).
func (n *controller) evict(ctx context.Context, k control.Key) (control.Result, error) {
	p, ok := n.pods.Get(k.Namespace, k.Name)
	if !ok || p.DeletionTimestamp != nil {
		return control.Result{}, nil
	}
	node, ok := n.nodes.Get("", p.Spec.NodeName)
	if !ok {
		return control.Result{}, nil
	}
	wait, out := timeLeft(p, node, time.Now())
	if !out {
		return control.Result{}, nil
	}
	if wait > 0 {
		return control.Result{After: wait}, nil
	}
	n.events.Event(p, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s/%s", p.Namespace, p.Name)
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"DeletionByTaintManager","message":"Taint manager: deleting due to NoExecute taint","lastTransitionTime":%q}]}}`,
		time.Now().UTC().Format(time.RFC3339))
	door := client.Of(n.c, client.Pods)
	if _, err := door.Patch(ctx, p.Namespace, p.Name, types.StrategicMergePatchType, []byte(patch), "status"); err != nil && !apierrors.IsNotFound(err) {
		return control.Result{}, fmt.Errorf("mark as disrupted: %w", err)
	}
	return control.Result{}, gone(door.Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}))
}

// timeLeft is how long the pod may stay on the node; out is false when it may stay for good. It is pure.
func timeLeft(p *corev1.Pod, node *corev1.Node, now time.Time) (wait time.Duration, out bool) {
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		left, forever := tolerated(p.Spec.Tolerations, t, now)
		if forever {
			continue
		}
		if !out || left < wait {
			wait, out = left, true
		}
	}
	return wait, out
}

func tolerated(tolerations []corev1.Toleration, t *corev1.Taint, now time.Time) (left time.Duration, forever bool) {
	found := false
	for i := range tolerations {
		tol := &tolerations[i]
		if !tol.ToleratesTaint(klog.Background(), t, false) {
			continue
		}
		if tol.TolerationSeconds == nil {
			if !found {
				left, forever, found = 0, true, true
			}
			continue
		}
		since := now
		if t.TimeAdded != nil {
			since = t.TimeAdded.Time
		}
		mine := max(time.Duration(*tol.TolerationSeconds)*time.Second-now.Sub(since), 0)
		if !found || forever || mine < left {
			left, forever, found = mine, false, true
		}
	}
	return left, forever
}
