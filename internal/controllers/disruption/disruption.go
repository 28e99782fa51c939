// Package disruption keeps the status of PodDisruptionBudgets: how many pods are healthy, how many have to be, and so how
// many evictions the API server may allow.
//
// assess (pure) looks at a budget and its pods; reconcile writes what it says. An eviction that the API server has noted in
// the budget counts as one pod less until the pod is gone, for two minutes at most.
package disruption

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

type controller struct {
	c           *client.Client
	budgets     *client.View[*policyv1.PodDisruptionBudget]
	pods        *client.View[*corev1.Pod]
	deployments *client.View[*appsv1.Deployment]
	replicaSets *client.View[*appsv1.ReplicaSet]
	stateful    *client.View[*appsv1.StatefulSet]
	controllers *client.View[*corev1.ReplicationController]
	events      *client.Recorder
}

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	d := &controller{
		c: vs.Client(), events: events,
		budgets: client.ViewOf(vs, client.PodDisruptionBudgets), pods: client.ViewOf(vs, client.Pods),
		deployments: client.ViewOf(vs, client.Deployments), replicaSets: client.ViewOf(vs, client.ReplicaSets),
		stateful: client.ViewOf(vs, client.StatefulSets), controllers: client.ViewOf(vs, client.ReplicationControllers),
	}
	return control.Controller{
		Name: "disruption", Workers: 2,
		Sources: []control.Source{
			control.Self(d.budgets), control.On(d.pods, d.ofPod),
			// What a budget counts from a scale changes without any pod.
			control.On(d.deployments, func(old, new *appsv1.Deployment) []control.Key {
				return d.rescaled(old, new, old == nil || new == nil || !equality.Semantic.DeepEqual(old.Spec.Replicas, new.Spec.Replicas))
			}),
			control.On(d.replicaSets, func(old, new *appsv1.ReplicaSet) []control.Key {
				return d.rescaled(old, new, old == nil || new == nil || !equality.Semantic.DeepEqual(old.Spec.Replicas, new.Spec.Replicas))
			}),
			control.On(d.stateful, func(old, new *appsv1.StatefulSet) []control.Key {
				return d.rescaled(old, new, old == nil || new == nil || !equality.Semantic.DeepEqual(old.Spec.Replicas, new.Spec.Replicas))
			}),
			control.On(d.controllers, func(old, new *corev1.ReplicationController) []control.Key {
				return d.rescaled(old, new, old == nil || new == nil || !equality.Semantic.DeepEqual(old.Spec.Replicas, new.Spec.Replicas))
			}),
		},
		Writes:    []string{"poddisruptionbudgets.policy/status"},
		Reconcile: d.reconcile,
	}
}

// ofPod names the budgets that covered or cover a pod, where it changed in what they count.
func (d *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	if old != nil && new != nil && healthy(old) == healthy(new) && (old.DeletionTimestamp == nil) == (new.DeletionTimestamp == nil) &&
		equality.Semantic.DeepEqual(old.Labels, new.Labels) && equality.Semantic.DeepEqual(metav1.GetControllerOf(old), metav1.GetControllerOf(new)) {
		return nil
	}
	for _, p := range []*corev1.Pod{old, new} {
		if p == nil {
			continue
		}
		for _, b := range d.budgets.List(p.Namespace, nil) {
			if sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && sel.Matches(labels.Set(p.Labels)) {
				keys = append(keys, control.Key{Namespace: b.Namespace, Name: b.Name})
			}
		}
	}
	return keys
}

// rescaled names the budgets of the namespace in which something got another scale.
func (d *controller) rescaled(old, new metav1.Object, changed bool) (keys []control.Key) {
	if !changed {
		return nil
	}
	for _, o := range []metav1.Object{new, old} {
		if isNil(o) {
			continue
		}
		for _, b := range d.budgets.List(o.GetNamespace(), nil) {
			keys = append(keys, control.Key{Namespace: b.Namespace, Name: b.Name})
		}
		return keys
	}
	return nil
}

func (d *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	b, ok := d.budgets.Get(k.Namespace, k.Name)
	if !ok {
		return control.Result{}, nil
	}
	var covered []*corev1.Pod
	sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err == nil {
		covered = d.pods.List(b.Namespace, sel)
		if len(covered) == 0 {
			d.events.Event(b, corev1.EventTypeNormal, "NoPods", "No matching pods found")
		}
	}
	var status policyv1.PodDisruptionBudgetStatus
	var again time.Duration
	if err == nil {
		status, again, err = assess(b, covered, d.scale, time.Now())
	}
	if err != nil {
		d.events.Event(b, corev1.EventTypeWarning, "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %v", err)
		status = closed(b, err, time.Now())
	}
	if equality.Semantic.DeepEqual(status, b.Status) {
		return control.Result{After: again}, nil
	}
	changed := b.DeepCopy()
	changed.Status = status
	if _, err := client.Of(d.c, client.PodDisruptionBudgets).UpdateStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
		return control.Result{}, fmt.Errorf("write status: %w", err)
	}
	return control.Result{After: again}, nil
}
