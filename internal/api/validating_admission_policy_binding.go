package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func validatingAdmissionPolicyBinding() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingAdmissionPolicyBinding", plural: "validatingadmissionpolicybindings",
		category: "api-extensions",
		cluster:  true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(b *admissionregistration.ValidatingAdmissionPolicyBinding) { b.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(b, old *admissionregistration.ValidatingAdmissionPolicyBinding) { bump(b, old, b.Spec, old.Spec) }),
			Validate: func(ctx context.Context, r *Request, obj Object) field.ErrorList {
				b := obj.(*admissionregistration.ValidatingAdmissionPolicyBinding)
				errs := append(validValidatingBinding(b), staticSuffix(b.Name)...)
				if len(errs) > 0 {
					return errs
				}
				return r.mayReadParam(b.Spec.ParamRef, r.paramKind("validatingadmissionpolicies", b.Spec.PolicyName))
			},
			ValidateUpdate: func(ctx context.Context, r *Request, obj, was Object) field.ErrorList {
				b, old := obj.(*admissionregistration.ValidatingAdmissionPolicyBinding), was.(*admissionregistration.ValidatingAdmissionPolicyBinding)
				errs := validValidatingBinding(b)
				if len(errs) > 0 || (b.Spec.PolicyName == old.Spec.PolicyName && sameValue(b.Spec.ParamRef, old.Spec.ParamRef)) {
					return errs
				}
				return r.mayReadParam(b.Spec.ParamRef, r.paramKind("validatingadmissionpolicies", b.Spec.PolicyName))
			},
			Warnings: warn(func(_ context.Context, b, old *admissionregistration.ValidatingAdmissionPolicyBinding) []string {
				return staticSuffixWarnings(b.Name, old != nil)
			}),
			RequireResourceVersion: true,
		},
		columns: table("Name", "PolicyName", "ParamRef", "Age"),
		row: typed(func(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), age(b.CreationTimestamp, now)}
		}),
	}
}

func paramRefCell(ref *admissionregistrationv1.ParamRef) string {
	switch {
	case ref == nil:
		return "<unset>"
	case ref.Name != "":
		return or(ref.Namespace, "*") + "/" + ref.Name
	case ref.Selector != nil:
		return ref.Selector.String()
	}
	return "<unset>"
}
