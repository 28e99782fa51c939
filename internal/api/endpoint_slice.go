package api

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/discovery"
	"k8s.io/kubernetes/pkg/apis/discovery/validation"
)

func endpointSlice() kind {
	return kind{
		group: "discovery.k8s.io",
		name:  "EndpointSlice", plural: "endpointslices",
		strategy: &Strategy{
			PrepareForCreate: prepare(func(e *discovery.EndpointSlice) {
				e.Generation = 1
				dropNodeHints(e, nil)
				dropTopology(e, nil)
			}),
			PrepareForUpdate: prepareUpdate(updateEndpointSlice),
			Validate:         valid(validation.ValidateEndpointSliceCreate),
			ValidateUpdate:   validUpdate(validation.ValidateEndpointSliceUpdate),
			Warnings:         warn(endpointSliceWarnings),
		},
		columns: table("Name", "AddressType", "Ports", "Endpoints", "Age"),
		row:     typed(endpointSliceRow),
	}
}

// updateEndpointSlice bumps the generation for any change but one of metadata other than labels.
func updateEndpointSlice(e, old *discovery.EndpointSlice) {
	meta, was := e.ObjectMeta, old.ObjectMeta
	e.ObjectMeta, old.ObjectMeta = metav1.ObjectMeta{}, metav1.ObjectMeta{}
	changed := !sameValue(e, old) || !sameValue(meta.Labels, was.Labels)
	e.ObjectMeta, old.ObjectMeta = meta, was
	if changed {
		e.Generation = old.Generation + 1
	}
	dropNodeHints(e, old)
	dropTopology(e, old)
}

func dropNodeHints(e, old *discovery.EndpointSlice) {
	if gate("PreferSameTrafficDistribution") {
		return
	}
	if old != nil {
		for _, x := range old.Endpoints {
			if x.Hints != nil && x.Hints.ForNodes != nil {
				return
			}
		}
	}
	for i := range e.Endpoints {
		if h := e.Endpoints[i].Hints; h != nil {
			h.ForNodes = nil
		}
	}
}

// dropTopology clears the topology labels that only v1beta1 had; a node's name among them moves into nodeName when the
// stored object knew it.
func dropTopology(e, old *discovery.EndpointSlice) {
	if old != nil && sameValue(old.Endpoints, e.Endpoints) {
		return
	}
	known := map[string]bool{}
	if old != nil {
		for _, x := range old.Endpoints {
			known[x.DeprecatedTopology[corev1.LabelHostname]] = true
		}
	}
	for i := range e.Endpoints {
		x := &e.Endpoints[i]
		name := x.DeprecatedTopology[corev1.LabelHostname]
		if x.NodeName == nil && name != "" && known[name] && len(corevalidation.ValidateNodeName(name, false)) == 0 {
			x.NodeName = &name
		}
		x.DeprecatedTopology = nil
	}
}

func endpointSliceWarnings(_ context.Context, e, old *discovery.EndpointSlice) []string {
	var w []string
	if old == nil && e.AddressType == discovery.AddressTypeFQDN {
		w = append(w, field.NewPath("spec").Child("addressType").String()+": FQDN endpoints are deprecated")
	}
	switch e.Labels[discoveryv1.LabelManagedBy] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return w
	}
	for i, x := range e.Endpoints {
		for j, a := range x.Addresses {
			w = append(w, utilvalidation.GetWarningsForIP(field.NewPath("endpoints").Index(i).Child("addresses").Index(j), a)...)
		}
	}
	return w
}

func endpointSliceRow(e *discoveryv1.EndpointSlice, now time.Time) []any {
	var ports, addresses []string
	for _, p := range e.Ports {
		switch {
		case p.Port != nil:
			ports = append(ports, strconv.Itoa(int(*p.Port)))
		case p.Name != nil:
			ports = append(ports, *p.Name)
		default:
			ports = append(ports, "*")
		}
	}
	for _, x := range e.Endpoints {
		addresses = append(addresses, x.Addresses...)
	}
	return []any{e.Name, string(e.AddressType), endpointSliceCell(ports), endpointSliceCell(addresses), age(e.CreationTimestamp, now)}
}
