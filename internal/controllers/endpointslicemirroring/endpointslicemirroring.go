// Package endpointslicemirroring shows hand-made Endpoints as EndpointSlices, which is all that proxies and DNS read.
//
// It looks at the Endpoints of Services without a selector; those of others are written beside their slices by the
// controllers endpoints and endpointslice. plan (pure) says what the slices should be and what to write. Rules are upstream's:
// at most 1,000 addresses a subset, one slice for each set of ports and family, none for Endpoints that carry the label
// endpointslice.kubernetes.io/skip-mirror or an election's annotation.
package endpointslicemirroring

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/endpointslice"
)

// ManagedBy is upstream's name for this controller in a slice's label.
const ManagedBy = "endpointslicemirroring-controller.k8s.io"

// leader is the annotation of an Endpoints that serves an election and no Service.
const leader = "control-plane.alpha.kubernetes.io/leader"

const mirrorsIndex = "mirrors"

type controller struct {
	c         *client.Client
	endpoints *client.View[*corev1.Endpoints]
	services  *client.View[*corev1.Service]
	slices    *client.View[*discoveryv1.EndpointSlice]
	events    *client.Recorder
}

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, _ *slog.Logger) control.Controller {
	m := &controller{c: vs.Client(), endpoints: client.ViewOf(vs, client.Endpoints), services: client.ViewOf(vs, client.Services),
		slices: client.ViewOf(vs, client.EndpointSlices), events: events}
	m.slices.Index(mirrorsIndex, func(s *discoveryv1.EndpointSlice) []string {
		if s.Labels[discoveryv1.LabelManagedBy] != ManagedBy {
			return nil
		}
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	return control.Controller{
		Name: "endpointslicemirroring", Workers: 2,
		Sources:   []control.Source{control.Self(m.endpoints), control.On(m.services, ofService), control.On(m.slices, ofSlice)},
		Writes:    []string{"endpointslices.discovery.k8s.io:mirrors"},
		Reconcile: m.reconcile,
	}
}

func ofService(old, new *corev1.Service) []control.Key {
	if old != nil && new != nil && (old.Spec.Selector == nil) == (new.Spec.Selector == nil) {
		return nil
	}
	if new == nil {
		new = old
	}
	return []control.Key{{Namespace: new.Namespace, Name: new.Name}}
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

func (m *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	var have []*discoveryv1.EndpointSlice
	for _, s := range m.slices.ByIndex(mirrorsIndex, k.Namespace+"/"+k.Name) {
		if s.DeletionTimestamp == nil {
			have = append(have, s)
		}
	}
	o, ok := m.endpoints.Get(k.Namespace, k.Name)
	svc, known := m.services.Get(k.Namespace, k.Name)
	if !ok || !known || svc.Spec.Selector != nil || !wanted(o) {
		return control.Result{}, endpointslice.Changes{Remove: have}.Apply(ctx, m.c, m.slices)
	}
	p := plan(o, have)
	if p.skipped > 0 {
		m.events.Event(o, corev1.EventTypeWarning, "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", maxAddresses, p.skipped)
	}
	return control.Result{}, p.Apply(ctx, m.c, m.slices)
}

func wanted(o *corev1.Endpoints) bool {
	_, election := o.Annotations[leader]
	return o.DeletionTimestamp == nil && o.Labels[discoveryv1.LabelSkipMirror] != "true" && !election
}
