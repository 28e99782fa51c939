package api

import (
	"context"
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/resourceclaimspec"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func resourceClaim() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceClaim", plural: "resourceclaims",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(updateClaimStatus),
				ValidateUpdate:   validClaimStatus,
				Declarative:      rules(validation.ResourceNormalizationRules),
				ResetFields:      []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *resource.ResourceClaim) {
				c.Status = resource.ResourceClaimStatus{}
				resourceclaimspec.DropDisabledFields(&c.Spec, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *resource.ResourceClaim) {
				c.Status = old.Status
				resourceclaimspec.DropDisabledFields(&c.Spec, &old.Spec)
			}),
			Validate: func(_ context.Context, r *Request, obj Object) field.ErrorList {
				c := obj.(*resource.ResourceClaim)
				return append(r.mayAdminister(c.Spec.Devices.Requests, c.Namespace), validation.ValidateResourceClaim(c)...)
			},
			ValidateUpdate: validUpdate(validation.ValidateResourceClaimUpdate),
			Declarative:    rules(validation.ResourceNormalizationRules),
			ResetFields:    statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "State", "Age"),
		row: typed(func(c *resourcev1.ResourceClaim, now time.Time) []any {
			return []any{c.Name, claimState(c), age(c.CreationTimestamp, now)}
		}),
	}
}

func claimState(c *resourcev1.ResourceClaim) string {
	var s []string
	if c.DeletionTimestamp != nil {
		s = append(s, "deleted")
	}
	switch {
	case c.Status.Allocation == nil && c.DeletionTimestamp == nil:
		s = append(s, "pending")
	case c.Status.Allocation != nil && len(c.Status.ReservedFor) > 0:
		s = append(s, "allocated", "reserved")
	case c.Status.Allocation != nil:
		s = append(s, "allocated")
	}
	return strings.Join(s, ",")
}
