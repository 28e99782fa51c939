// Package podgc removes pods that nothing else will ever remove: those of nodes that are gone, those being deleted
// before they had a node, and the oldest ended ones beyond the limit.
package podgc

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/pods"
)

// Upstream's numbers: how many ended pods are kept, and how long a missing node may take to come back.
const (
	keepEnded  = 12500
	quarantine = 40 * time.Second
)

type controller struct {
	c     *client.Client
	nodes *client.View[*corev1.Node]
	pods  *client.View[*corev1.Pod]
}

// New returns the controller. Its one key, "", means: look at all pods.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	g := &controller{c: vs.Client(), nodes: client.ViewOf(vs, client.Nodes), pods: client.ViewOf(vs, client.Pods)}
	return control.Controller{
		Name: "pod-gc",
		Sources: []control.Source{control.On(g.nodes, func(old, new *corev1.Node) []control.Key {
			if new == nil {
				return []control.Key{{Name: old.Name}}
			}
			return nil
		}), control.On(g.pods, g.ofPod)},
		Writes:    []string{"pods:gc"},
		Reconcile: g.reconcile,
	}
}

// all is the key for the count of ended pods.
const all = "*"

func (g *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	if new == nil {
		return nil
	}
	if _, ok := g.nodes.Get("", new.Spec.NodeName); !ok && (new.Spec.NodeName != "" || new.DeletionTimestamp != nil) {
		keys = append(keys, control.Key{Name: new.Spec.NodeName})
	}
	if pods.Ended(new) && (old == nil || !pods.Ended(old)) {
		keys = append(keys, control.Key{Name: all})
	}
	return keys
}

func (g *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	if k.Name == all {
		return control.Result{}, g.trim(ctx)
	}
	if k.Name == "" {
		return control.Result{}, g.remove(ctx, g.of("", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }))
	}
	if _, back := g.nodes.Get("", k.Name); back {
		return control.Result{}, nil
	}
	orphans := g.of(k.Name, func(*corev1.Pod) bool { return true })
	if len(orphans) == 0 {
		return control.Result{}, nil
	}
	youngest := time.Duration(1<<63 - 1)
	for _, p := range orphans {
		youngest = min(youngest, time.Since(p.CreationTimestamp.Time))
	}
	if youngest < quarantine { // the pod may be ahead of its node
		return control.Result{After: quarantine - youngest}, nil
	}
	if _, err := client.Of(g.c, client.Nodes).Get(ctx, "", k.Name); !apierrors.IsNotFound(err) {
		return control.Result{}, err
	}
	return control.Result{}, g.remove(ctx, orphans)
}

func (g *controller) of(node string, want func(*corev1.Pod) bool) (out []*corev1.Pod) {
	for _, p := range g.pods.List("", nil) {
		if p.Spec.NodeName == node && want(p) {
			out = append(out, p)
		}
	}
	return out
}

// trim keeps the newest ended pods.
func (g *controller) trim(ctx context.Context) error {
	var ended []*corev1.Pod
	for _, p := range g.pods.List("", nil) {
		if pods.Ended(p) && p.DeletionTimestamp == nil {
			ended = append(ended, p)
		}
	}
	if len(ended) <= keepEnded {
		return nil
	}
	sort.Slice(ended, func(i, j int) bool { return ended[i].CreationTimestamp.Before(&ended[j].CreationTimestamp) })
	return g.remove(ctx, ended[:len(ended)-keepEnded])
}

func (g *controller) remove(ctx context.Context, list []*corev1.Pod) error {
	now := int64(0)
	for _, p := range list {
		err := client.Of(g.c, client.Pods).Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now,
			Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("remove pod %s/%s: %w", p.Namespace, p.Name, err)
		}
	}
	return nil
}
