// Package daemonset keeps a pod of each DaemonSet on every node that it is meant for.
//
// makePlan (pure) compares nodes and pods and names what to make and to take away; the scheduler binds each pod to the one
// node that its affinity names. history.go keeps the template's revisions, status.go counts. Rules are upstream's: which
// taints keep a daemon off a node or drive it away, RollingUpdate with maxUnavailable or maxSurge, OnDelete, minReadySeconds.
package daemonset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/podcontrol"
	"minato.dev/minato/internal/controllers/revision"
)

type controller struct {
	c       *client.Client
	sets    *client.View[*appsv1.DaemonSet]
	nodes   *client.View[*corev1.Node]
	pods    *podcontrol.Control
	history *revision.History
	events  *client.Recorder
	failed  *backoff
}

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	d := &controller{c: vs.Client(), sets: client.ViewOf(vs, client.DaemonSets), nodes: client.ViewOf(vs, client.Nodes),
		pods: podcontrol.New(vs, events, client.DaemonSets), history: revision.New(vs, client.DaemonSets), events: events, failed: newBackoff()}
	return control.Controller{
		Name: "daemonset", Workers: 2,
		Sources: []control.Source{control.Self(d.sets), control.On(d.nodes, d.ofNode), control.On(d.pods.Pods, d.ofPod),
			control.On(d.history.View, d.ofRevision)},
		Writes:    []string{"daemonsets.apps/status", "pods:daemonset", "controllerrevisions.apps:daemonset"},
		Reconcile: d.reconcile,
	}
}

func (d *controller) ofPod(old, new *corev1.Pod) (keys []control.Key) {
	ns, names := d.pods.Owners(old, new, func(ns string, l labels.Set) (names []string) {
		for _, ds := range d.sets.List(ns, nil) {
			if sel, err := metav1.LabelSelectorAsSelector(ds.Spec.Selector); err == nil && sel.Matches(l) {
				names = append(names, ds.Name)
			}
		}
		return names
	})
	for _, n := range names {
		keys = append(keys, control.Key{Namespace: ns, Name: n})
	}
	return keys
}

func (d *controller) ofRevision(old, new *appsv1.ControllerRevision) []control.Key {
	if new != nil || old == nil {
		return nil // one that comes is our own writing
	}
	if ref := metav1.GetControllerOf(old); ref != nil && ref.Kind == "DaemonSet" {
		return []control.Key{{Namespace: old.Namespace, Name: ref.Name}}
	}
	return nil
}

// ofNode wakes the sets whose answer for the node a change may have altered; a heartbeat alters none.
func (d *controller) ofNode(old, new *corev1.Node) (keys []control.Key) {
	if old != nil && new != nil && equality.Semantic.DeepEqual(old.Labels, new.Labels) && equality.Semantic.DeepEqual(old.Spec.Taints, new.Spec.Taints) {
		return nil
	}
	for _, ds := range d.sets.List("", nil) {
		was, is := placement{}, placement{}
		if old != nil {
			was = place(ds, old)
		}
		if new != nil {
			is = place(ds, new)
		}
		if was != is || old == nil || new == nil {
			keys = append(keys, control.Key{Namespace: ds.Namespace, Name: ds.Name})
		}
	}
	return keys
}

func (d *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	ds, ok := d.sets.Get(k.Namespace, k.Name)
	if !ok {
		d.failed.forget(k)
		return control.Result{}, nil
	}
	sel, err := metav1.LabelSelectorAsSelector(ds.Spec.Selector)
	if err != nil {
		return control.Result{}, fmt.Errorf("selector: %w", err)
	}
	if sel.Empty() {
		d.events.Event(ds, corev1.EventTypeWarning, "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.")
		return control.Result{}, nil
	}
	mine, err := d.pods.Claim(ctx, ds, sel, podcontrol.All)
	if err != nil || ds.DeletionTimestamp != nil {
		return control.Result{}, err
	}
	collisions := ds.Status.CollisionCount
	revisions, now, err := d.revisions(ctx, ds, sel, &collisions)
	if err != nil {
		return control.Result{}, err
	}
	hash := now.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]
	p := makePlan(ds, d.nodes.List("", nil), mine, hash, time.Now())
	wait, failure := d.act(ctx, k, ds, p, hash)
	if failure == nil {
		failure = d.trim(ctx, ds, revisions, mine, hash)
	}
	p.status.CollisionCount = collisions
	if !equality.Semantic.DeepEqual(p.status, ds.Status) {
		changed := ds.DeepCopy()
		changed.Status = p.status
		if _, err := client.Of(d.c, client.DaemonSets).UpdateStatus(ctx, changed); err != nil && !apierrors.IsNotFound(err) {
			return control.Result{}, errors.Join(failure, fmt.Errorf("write status: %w", err))
		}
	}
	return control.Result{After: sooner(p.lookAgain, wait)}, failure
}

// act carries the plan out: failed pods go after a while that grows, then what is too much, then what is missing comes.
func (d *controller) act(ctx context.Context, k control.Key, ds *appsv1.DaemonSet, p plan, hash string) (wait time.Duration, err error) {
	remove := p.remove
	for _, pod := range p.failed {
		if left := d.failed.left(k, pod.Spec.NodeName, time.Now()); left > 0 {
			wait = sooner(wait, left)
			continue
		}
		d.events.Event(ds, corev1.EventTypeWarning, "FailedDaemonPod", "Found failed daemon pod %s/%s on node %s, will try to kill it", pod.Namespace, pod.Name, pod.Spec.NodeName)
		d.failed.count(k, pod.Spec.NodeName, time.Now())
		remove = append(remove, pod)
	}
	if err := d.pods.Delete(ctx, ds, remove); err != nil {
		return wait, err
	}
	var list []*corev1.Pod
	for _, node := range p.create {
		list = append(list, d.newPod(ds, node, hash))
	}
	return wait, d.pods.Create(ctx, ds, list)
}

// newPod is a daemon for one node. The scheduler binds it, because volumes and resources are its matter.
func (d *controller) newPod(ds *appsv1.DaemonSet, node, hash string) *corev1.Pod {
	p := d.pods.FromTemplate(ds, &ds.Spec.Template)
	p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] = hash
	if g := ds.Annotations[appsv1.DeprecatedTemplateGeneration]; g != "" {
		p.Labels["pod-template-generation"] = g
	}
	addTolerations(&p.Spec)
	onlyOn(&p.Spec, node)
	return p
}

// sooner is the shorter of two waits, of which zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
