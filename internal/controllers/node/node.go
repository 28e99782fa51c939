// Package node watches over nodes: a node whose lease is not renewed becomes unknown and is tainted, and pods that do
// not tolerate a NoExecute taint are evicted when their time is up.
//
// judge (pure) compares a node with its lease; the deadline of the lease is a timer, so nothing polls. Names, taints
// and the 50 s grace are upstream's.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Grace is how long a node may leave its lease unrenewed (upstream: --node-monitor-grace-period).
const Grace = 50 * time.Second

const nodeIndex = "node"

type controller struct {
	c      *client.Client
	nodes  *client.View[*corev1.Node]
	leases *client.View[*coordinationv1.Lease]
	pods   *client.View[*corev1.Pod]
	events *client.Recorder
	seen   *sightings
	grace  time.Duration
}

// NewLifecycle returns the controller that judges nodes by their leases and taints them; grace 0 means Grace.
func NewLifecycle(vs *client.Views, events *client.Recorder, grace time.Duration, _ *slog.Logger) control.Controller {
	n := newController(vs, events)
	if n.grace = grace; grace == 0 {
		n.grace = Grace
	}
	n.leases = client.ViewOf(vs, client.Leases)
	return control.Controller{
		Name:      "node-lifecycle",
		Sources:   []control.Source{control.Self(n.nodes), control.On(n.leases, ofLease), control.Needs(n.pods)},
		Writes:    []string{"nodes/status:unknown", "nodes:taints", "pods/status:node-lost"},
		Reconcile: n.reconcile,
	}
}

// NewEviction returns the controller that evicts pods from tainted nodes.
func NewEviction(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	n := newController(vs, events)
	return control.Controller{
		Name: "taint-eviction", Workers: 4,
		Sources:   []control.Source{control.On(n.pods, n.ofPod), control.On(n.nodes, n.podsOf)},
		Writes:    []string{"pods:taint-eviction"},
		Reconcile: n.evict,
	}
}

func newController(vs *client.Views, events *client.Recorder) *controller {
	n := &controller{c: vs.Client(), nodes: client.ViewOf(vs, client.Nodes), pods: client.ViewOf(vs, client.Pods), events: events, seen: newSightings()}
	n.pods.Index(nodeIndex, func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	return n
}

func ofLease(old, new *coordinationv1.Lease) []control.Key {
	if new == nil {
		new = old
	}
	if new.Namespace != corev1.NamespaceNodeLease {
		return nil
	}
	return []control.Key{{Name: new.Name}}
}

func (n *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	node, ok := n.nodes.Get("", k.Name)
	if !ok {
		n.seen.forget(k.Name)
		return control.Result{}, nil
	}
	lease, _ := n.leases.Get(corev1.NamespaceNodeLease, k.Name)
	now := time.Now()
	v := judge(node, n.seen.renewed(node, lease, now), now, n.grace)
	if v.status != nil {
		changed := node.DeepCopy()
		changed.Status.Conditions = v.status
		if _, err := client.Of(n.c, client.Nodes).UpdateStatus(ctx, changed); err != nil {
			return control.Result{}, gone(err)
		}
		n.events.Event(node, corev1.EventTypeNormal, "NodeNotReady", "Node %s status is now: NodeNotReady", node.Name)
		return control.Result{}, nil // the change comes back and is judged again, for the taints
	}
	if !equality.Semantic.DeepEqual(v.taints, node.Spec.Taints) {
		changed := node.DeepCopy()
		changed.Spec.Taints = v.taints
		if _, err := client.Of(n.c, client.Nodes).Update(ctx, changed); err != nil {
			return control.Result{}, gone(err)
		}
	}
	if !v.ready {
		if err := n.unready(ctx, node.Name); err != nil {
			return control.Result{}, err
		}
	}
	return control.Result{After: v.again}, nil
}

// unready marks the pods of a lost node as not ready, so that Services leave them out.
func (n *controller) unready(ctx context.Context, node string) error {
	for _, p := range n.pods.ByIndex(nodeIndex, node) {
		changed := p.DeepCopy()
		moved := false
		for i := range changed.Status.Conditions {
			c := &changed.Status.Conditions[i]
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				c.Status, c.LastTransitionTime, moved = corev1.ConditionFalse, metav1.Now(), true
			}
		}
		if !moved {
			continue
		}
		if _, err := client.Of(n.c, client.Pods).UpdateStatus(ctx, changed); gone(err) != nil {
			return fmt.Errorf("mark pod %s/%s not ready: %w", p.Namespace, p.Name, err)
		}
		n.events.Event(p, corev1.EventTypeWarning, "NodeNotReady", "Node is not ready")
	}
	return nil
}

func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
