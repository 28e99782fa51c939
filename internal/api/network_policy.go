package api

import (
	"context"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
)

func networkPolicy() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "NetworkPolicy", plural: "networkpolicies",
		short: []string{"netpol"},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(p *networking.NetworkPolicy) { p.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(p, old *networking.NetworkPolicy) { bumpExactly(p, old, p.Spec, old.Spec) }),
			Validate: valid(func(p *networking.NetworkPolicy) field.ErrorList {
				return validation.ValidateNetworkPolicy(p, validation.ValidationOptionsForNetworking(p, nil))
			}),
			ValidateUpdate: validUpdate(func(p, old *networking.NetworkPolicy) field.ErrorList {
				return validation.ValidateNetworkPolicyUpdate(p, old, validation.ValidationOptionsForNetworking(p, old))
			}),
			Warnings: warn(networkPolicyWarnings),
		},
		columns: table("Name", "Pod-Selector", "Age"),
		row: typed(func(p *networkingv1.NetworkPolicy, now time.Time) []any {
			return []any{p.Name, selectorCell(&p.Spec.PodSelector), age(p.CreationTimestamp, now)}
		}),
	}
}

func networkPolicyWarnings(_ context.Context, p, _ *networking.NetworkPolicy) []string {
	var w []string
	spec := field.NewPath("spec")
	for i, rule := range p.Spec.Ingress {
		w = append(w, peerWarnings(spec.Child("ingress").Index(i).Child("from"), rule.From)...)
	}
	for i, rule := range p.Spec.Egress {
		w = append(w, peerWarnings(spec.Child("egress").Index(i).Child("to"), rule.To)...)
	}
	return w
}

func peerWarnings(path *field.Path, peers []networking.NetworkPolicyPeer) []string {
	var w []string
	for i, peer := range peers {
		if peer.IPBlock == nil {
			continue
		}
		block := path.Index(i).Child("ipBlock")
		w = append(w, utilvalidation.GetWarningsForCIDR(block.Child("cidr"), peer.IPBlock.CIDR)...)
		for j, except := range peer.IPBlock.Except {
			w = append(w, utilvalidation.GetWarningsForCIDR(block.Child("except").Index(j), except)...)
		}
	}
	return w
}
