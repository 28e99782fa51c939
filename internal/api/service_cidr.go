package api

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
)

func serviceCIDR() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "ServiceCIDR", plural: "servicecidrs",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(c, old *networking.ServiceCIDR) {
					c.Spec = old.Spec
					statusOnly(&c.ObjectMeta, &old.ObjectMeta)
				}),
				ValidateUpdate: validUpdate(validation.ValidateServiceCIDRStatusUpdate),
				ResetFields:    []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *networking.ServiceCIDR) {
				if gate(cidrStatusWiping) {
					c.Status = networking.ServiceCIDRStatus{}
				}
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *networking.ServiceCIDR) {
				if gate(cidrStatusWiping) {
					c.Status = old.Status
				}
			}),
			Validate:       valid(validation.ValidateServiceCIDR),
			ValidateUpdate: validUpdate(validation.ValidateServiceCIDRUpdate),
			ResetFields:    cidrReset(),
		},
		columns: table("Name", "CIDRs", "Age"),
		row: typed(func(c *networkingv1.ServiceCIDR, now time.Time) []any {
			return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), age(c.CreationTimestamp, now)}
		}),
	}
}

const cidrStatusWiping = "ServiceCIDRStatusFieldWiping"

func cidrReset() []string {
	if gate(cidrStatusWiping) {
		return statusField
	}
	return nil
}
