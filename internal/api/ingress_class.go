package api

import (
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
)

func ingressClass() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "IngressClass", plural: "ingressclasses",
		cluster: true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *networking.IngressClass) { c.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(c, old *networking.IngressClass) { bump(c, old, c.Spec, old.Spec) }),
			Validate:         valid(validation.ValidateIngressClass),
			ValidateUpdate:   validUpdate(validation.ValidateIngressClassUpdate),
		},
		columns: table("Name", "Controller", "Parameters", "Age"),
		row: typed(func(c *networkingv1.IngressClass, now time.Time) []any {
			name, params := c.Name, "<none>"
			if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
				name += " (default)"
			}
			if p := c.Spec.Parameters; p != nil {
				params = p.Kind
				if p.APIGroup != nil {
					params += "." + *p.APIGroup
				}
				params += "/" + p.Name
			}
			return []any{name, c.Spec.Controller, params, age(c.CreationTimestamp, now)}
		}),
	}
}
