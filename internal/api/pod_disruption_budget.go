package api

import (
	"context"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/policy"
	"k8s.io/kubernetes/pkg/apis/policy/validation"
)

func podDisruptionBudget() kind {
	return kind{
		group: "policy",
		name:  "PodDisruptionBudget", plural: "poddisruptionbudgets",
		short: []string{"pdb"},
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(b, old *policy.PodDisruptionBudget) { b.Spec = old.Spec }),
				ValidateUpdate: func(ctx context.Context, r *Request, obj, old Object) field.ErrorList {
					return validation.ValidatePodDisruptionBudgetStatusUpdate(obj.(*policy.PodDisruptionBudget).Status,
						old.(*policy.PodDisruptionBudget).Status, field.NewPath("status"), r.GroupVersion)
				},
				RequireResourceVersion: true,
				ResetFields:            specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(b *policy.PodDisruptionBudget) {
				b.Status = policy.PodDisruptionBudgetStatus{}
				b.Generation = 1
				stripBudgetLabel(b)
			}),
			PrepareForUpdate: prepareUpdate(func(b, old *policy.PodDisruptionBudget) {
				b.Status = old.Status
				bump(b, old, b.Spec, old.Spec)
				if !sameValue(b.Spec.Selector, old.Spec.Selector) {
					stripBudgetLabel(b)
				}
			}),
			Validate: valid(func(b *policy.PodDisruptionBudget) field.ErrorList {
				return validation.ValidatePodDisruptionBudget(b, validation.PodDisruptionBudgetValidationOptions{})
			}),
			ValidateUpdate: validUpdate(func(b, old *policy.PodDisruptionBudget) field.ErrorList {
				s := old.Spec.Selector
				tolerate := s != nil && len(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, nil)) > 0
				return validation.ValidatePodDisruptionBudget(b, validation.PodDisruptionBudgetValidationOptions{AllowInvalidLabelValueInSelector: tolerate})
			}),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name", "Min Available", "Max Unavailable", "Allowed Disruptions#", "Age"),
		row: typed(func(b *policyv1.PodDisruptionBudget, now time.Time) []any {
			return []any{b.Name, amount(b.Spec.MinAvailable), amount(b.Spec.MaxUnavailable), int64(b.Status.DisruptionsAllowed), age(b.CreationTimestamp, now)}
		}),
	}
}

// stripBudgetLabel removes the marker by which conversion tells the empty selector of v1 from that of v1beta1, unless it
// is all that the selector holds.
func stripBudgetLabel(b *policy.PodDisruptionBudget) {
	s := b.Spec.Selector
	if sameValue(s, policy.NonV1beta1MatchNoneSelector) || sameValue(s, policy.NonV1beta1MatchAllSelector) {
		return
	}
	policy.StripPDBV1beta1Label(s)
}

func amount(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}
