package protection

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/pods"
)

const claimFinalizer = "kubernetes.io/pvc-protection"

type claimGuard struct {
	c      *client.Client
	claims *client.View[*corev1.PersistentVolumeClaim]
}

// NewClaims returns the controller of claims: one that a pod on a node names stays until that pod is gone.
func NewClaims(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	g := &claimGuard{vs.Client(), client.ViewOf(vs, client.PersistentVolumeClaims)}
	return control.Controller{
		Name: "pvc-protection", Workers: 1,
		Sources: []control.Source{control.Self(g.claims), control.On(client.ViewOf(vs, client.Pods), func(old, new *corev1.Pod) []control.Key {
			if old == nil || new != nil && pods.Ended(old) == pods.Ended(new) {
				return nil // a pod frees its claims only by ending or going
			}
			return claimsOf(old)
		})},
		Writes:    []string{"persistentvolumeclaims:protection"},
		Reconcile: g.reconcile,
	}
}

func (g *claimGuard) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	claim, ok := g.claims.Get(k.Namespace, k.Name)
	if !ok || !guarded(claim, claimFinalizer) {
		return control.Result{}, nil
	}
	// The newest pods, not a mirror of them: one may have got its node a moment ago.
	list, _, err := client.Of(g.c, client.Pods).List(ctx, k.Namespace, metav1.ListOptions{})
	if err != nil {
		return control.Result{}, err
	}
	for _, p := range list {
		if uses(p, claim) {
			return control.Result{}, nil
		}
	}
	return control.Result{}, letGo(ctx, client.Of(g.c, client.PersistentVolumeClaims), claim.DeepCopy(), claimFinalizer)
}

// uses says whether a pod keeps a claim alive. A pod without a node does not: it can no longer start. A pod that has ended
// lets go of the claims that were made for it alone.
func uses(p *corev1.Pod, claim *corev1.PersistentVolumeClaim) bool {
	if p.Spec.NodeName == "" {
		return false
	}
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim.Name ||
			v.Ephemeral != nil && !pods.Ended(p) && p.Name+"-"+v.Name == claim.Name && metav1.IsControlledBy(claim, p) {
			return true
		}
	}
	return false
}

func claimsOf(p *corev1.Pod) (keys []control.Key) {
	for _, v := range p.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			keys = append(keys, control.Key{Namespace: p.Namespace, Name: v.PersistentVolumeClaim.ClaimName})
		case v.Ephemeral != nil:
			keys = append(keys, control.Key{Namespace: p.Namespace, Name: p.Name + "-" + v.Name})
		}
	}
	return keys
}
