package admission

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
)

// defaultIngressClass gives ingresses without a class the default one.
var defaultIngressClass = plugin{
	name:    "DefaultIngressClass",
	handles: on(networkingv1.Resource("ingresses"), Create),
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		ingress, ok := object[*networkingv1.Ingress](a)
		if !ok {
			return nil
		}
		if _, set := ingress.Annotations["kubernetes.io/ingress.class"]; set || ingress.Spec.IngressClassName != nil {
			return nil
		}
		classes, err := list[*networkingv1.IngressClass](ctx, c.Objects, networkingv1.Resource("ingressclasses"), "")
		if err != nil {
			return a.forbidden(err)
		}
		var marked []*networkingv1.IngressClass
		for _, class := range classes {
			if isDefault(class, networkingv1.AnnotationIsDefaultIngressClass) {
				marked = append(marked, class)
			}
		}
		if def, ok := newest(marked); ok {
			name := def.Name
			ingress.Spec.IngressClassName = &name
		}
		return nil
	},
}
