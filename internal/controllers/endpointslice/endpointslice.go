// Package endpointslice keeps, for each Service with a selector, EndpointSlices that name its pods.
//
// desired (pure) groups the pods' endpoints by the numbers of the Service's ports and fills slices of at most 100;
// existing slices are kept where they are, so that a change of one pod writes one slice. Rules are upstream's
// (KEP-752): ready, serving, terminating, publishNotReadyAddresses, hostnames for headless Services.
package endpointslice

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// ManagedBy is upstream's name for this controller in a slice's label.
const ManagedBy = "endpointslice-controller.k8s.io"

const serviceIndex = "service"

type controller struct {
	c        *client.Client
	services *client.View[*corev1.Service]
	pods     *client.View[*corev1.Pod]
	nodes    *client.View[*corev1.Node]
	slices   *client.View[*discoveryv1.EndpointSlice]
}

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	e := &controller{c: vs.Client(), services: client.ViewOf(vs, client.Services), pods: client.ViewOf(vs, client.Pods),
		nodes: client.ViewOf(vs, client.Nodes), slices: client.ViewOf(vs, client.EndpointSlices)}
	e.slices.Index(serviceIndex, func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	return control.Controller{
		Name: "endpointslice", Workers: 4,
		Sources: []control.Source{control.Self(e.services), control.On(e.pods, func(old, new *corev1.Pod) []control.Key {
			return ServicesOf(e.services, old, new)
		}), control.On(e.slices, ofSlice), control.Needs(e.nodes)},
		Writes:    []string{"endpointslices.discovery.k8s.io:pods"},
		Reconcile: e.reconcile,
	}
}

func ofSlice(old, new *discoveryv1.EndpointSlice) []control.Key {
	if new == nil {
		new = old
	}
	if new.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
		return nil
	}
	return []control.Key{{Namespace: new.Namespace, Name: new.Labels[discoveryv1.LabelServiceName]}}
}

// ServicesOf names the Services whose endpoints a change of a pod can alter.
func ServicesOf(services *client.View[*corev1.Service], old, new *corev1.Pod) (keys []control.Key) {
	if old != nil && new != nil && !concerns(old, new) {
		return nil
	}
	p := new
	if p == nil {
		p = old
	}
	for _, svc := range services.List(p.Namespace, nil) {
		if len(svc.Spec.Selector) == 0 {
			continue
		}
		sel := labels.SelectorFromValidatedSet(svc.Spec.Selector)
		if new != nil && sel.Matches(labels.Set(new.Labels)) || old != nil && sel.Matches(labels.Set(old.Labels)) {
			keys = append(keys, control.Key{Namespace: svc.Namespace, Name: svc.Name})
		}
	}
	return keys
}

// concerns reports whether two states of a pod differ in anything that endpoints show.
func concerns(a, b *corev1.Pod) bool {
	return a.UID != b.UID || a.Spec.NodeName != b.Spec.NodeName || a.Status.Phase != b.Status.Phase ||
		(a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) ||
		!equality.Semantic.DeepEqual(a.Labels, b.Labels) || !equality.Semantic.DeepEqual(a.Status.PodIPs, b.Status.PodIPs) ||
		!equality.Semantic.DeepEqual(a.Status.Conditions, b.Status.Conditions) ||
		a.Spec.Hostname != b.Spec.Hostname || a.Spec.Subdomain != b.Spec.Subdomain
}

func (e *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	have := e.managed(k)
	svc, ok := e.services.Get(k.Namespace, k.Name)
	if !ok || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		if ok { // its slices go with a deleted Service by their owner reference
			return control.Result{}, Changes{Remove: have}.Apply(ctx, e.c, e.slices)
		}
		return control.Result{}, nil
	}
	selected := e.pods.List(k.Namespace, labels.SelectorFromValidatedSet(svc.Spec.Selector))
	want := endpoints(svc, selected, func(node string) string {
		if n, ok := e.nodes.Get("", node); ok {
			return n.Labels[corev1.LabelTopologyZone]
		}
		return ""
	})
	return control.Result{}, fill(svc, have, want).Apply(ctx, e.c, e.slices)
}

func (e *controller) managed(k control.Key) (out []*discoveryv1.EndpointSlice) {
	for _, s := range e.slices.ByIndex(serviceIndex, k.Namespace+"/"+k.Name) {
		if s.Labels[discoveryv1.LabelManagedBy] == ManagedBy && s.DeletionTimestamp == nil {
			out = append(out, s)
		}
	}
	return out
}
