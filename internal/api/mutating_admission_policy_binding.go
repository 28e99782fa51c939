package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func mutatingAdmissionPolicyBinding() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingAdmissionPolicyBinding", plural: "mutatingadmissionpolicybindings",
		category: "api-extensions",
		cluster:  true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(b *admissionregistration.MutatingAdmissionPolicyBinding) { b.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(b, old *admissionregistration.MutatingAdmissionPolicyBinding) { bump(b, old, b.Spec, old.Spec) }),
			Validate: func(ctx context.Context, r *Request, obj Object) field.ErrorList {
				b := obj.(*admissionregistration.MutatingAdmissionPolicyBinding)
				errs := append(validMutatingBinding(b), staticSuffix(b.Name)...)
				if len(errs) > 0 {
					return errs
				}
				return r.mayReadParam(b.Spec.ParamRef, r.paramKind("mutatingadmissionpolicies", b.Spec.PolicyName))
			},
			ValidateUpdate: func(ctx context.Context, r *Request, obj, was Object) field.ErrorList {
				b, old := obj.(*admissionregistration.MutatingAdmissionPolicyBinding), was.(*admissionregistration.MutatingAdmissionPolicyBinding)
				errs := validMutatingBinding(b)
				if len(errs) > 0 || (b.Spec.PolicyName == old.Spec.PolicyName && sameValue(b.Spec.ParamRef, old.Spec.ParamRef)) {
					return errs
				}
				return r.mayReadParam(b.Spec.ParamRef, r.paramKind("mutatingadmissionpolicies", b.Spec.PolicyName))
			},
			Warnings: warn(func(_ context.Context, b, old *admissionregistration.MutatingAdmissionPolicyBinding) []string {
				return staticSuffixWarnings(b.Name, old != nil)
			}),
			RequireResourceVersion: true,
		},
		columns: table("Name", "PolicyName", "ParamRef", "Age"),
		row: typed(func(b *admissionregistrationv1.MutatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), age(b.CreationTimestamp, now)}
		}),
	}
}
