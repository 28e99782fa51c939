package api

import (
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/rbac"
	"k8s.io/kubernetes/pkg/apis/rbac/validation"
)

func clusterRole() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "ClusterRole", plural: "clusterroles",
		cluster: true,
		strategy: &Strategy{
			Validate: valid(func(r *rbac.ClusterRole) field.ErrorList {
				return validation.ValidateClusterRole(r, validation.ClusterRoleValidationOptions{})
			}),
			ValidateUpdate: validUpdate(func(r, old *rbac.ClusterRole) field.ErrorList {
				return validation.ValidateClusterRoleUpdate(r, old, validation.ClusterRoleValidationOptions{
					AllowInvalidLabelValueInSelector: aggregatesInvalid(old),
				})
			}),
			AllowCreateOnUpdate: true,
		},
	}
}

// aggregatesInvalid: a stored selector that is not valid may stay.
func aggregatesInvalid(r *rbac.ClusterRole) bool {
	if r.AggregationRule == nil {
		return false
	}
	for _, s := range r.AggregationRule.ClusterRoleSelectors {
		if len(metavalidation.ValidateLabelSelector(&s, metavalidation.LabelSelectorValidationOptions{}, nil)) > 0 {
			return true
		}
	}
	return false
}
