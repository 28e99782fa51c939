package api

import (
	"context"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/resourceclaimspec"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func resourceClaimTemplate() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceClaimTemplate", plural: "resourceclaimtemplates",
		strategy: &Strategy{
			PrepareForCreate: prepare(func(t *resource.ResourceClaimTemplate) {
				resourceclaimspec.DropDisabledFields(&t.Spec.Spec, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(t, old *resource.ResourceClaimTemplate) {
				resourceclaimspec.DropDisabledFields(&t.Spec.Spec, &old.Spec.Spec)
			}),
			Validate: func(_ context.Context, r *Request, obj Object) field.ErrorList {
				t := obj.(*resource.ResourceClaimTemplate)
				return append(r.mayAdminister(t.Spec.Spec.Devices.Requests, t.Namespace), validation.ValidateResourceClaimTemplate(t)...)
			},
			ValidateUpdate: validBoth(validation.ValidateResourceClaimTemplate, validation.ValidateResourceClaimTemplateUpdate),
			Declarative:    rules(validation.ResourceNormalizationRules),
		},
		returnsDeleted: true,
		columns:        table("Name", "Age"),
		row: typed(func(t *resourcev1.ResourceClaimTemplate, now time.Time) []any {
			return []any{t.Name, age(t.CreationTimestamp, now)}
		}),
	}
}
