package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func validatingAdmissionPolicy() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingAdmissionPolicy", plural: "validatingadmissionpolicies",
		category: "api-extensions",
		cluster:  true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(p, old *admissionregistration.ValidatingAdmissionPolicy) {
					p.Spec = old.Spec
					statusOnly(&p.ObjectMeta, &old.ObjectMeta)
				}),
				ValidateUpdate: validUpdate(func(p, _ *admissionregistration.ValidatingAdmissionPolicy) field.ErrorList {
					return validPolicyStatus(&p.Status, field.NewPath("status"))
				}),
				RequireResourceVersion: true,
				ResetFields:            []string{"spec", "metadata"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(p *admissionregistration.ValidatingAdmissionPolicy) {
				p.Status = admissionregistration.ValidatingAdmissionPolicyStatus{}
				p.Generation = 1
			}),
			PrepareForUpdate: prepareUpdate(func(p, old *admissionregistration.ValidatingAdmissionPolicy) {
				p.Status = old.Status
				bump(p, old, p.Spec, old.Spec)
			}),
			Validate: func(ctx context.Context, r *Request, obj Object) field.ErrorList {
				p := obj.(*admissionregistration.ValidatingAdmissionPolicy)
				errs := append(validValidatingPolicy(p, nil), staticSuffix(p.Name)...)
				if len(errs) > 0 {
					return errs
				}
				return r.mayReadParams(p.Spec.ParamKind)
			},
			ValidateUpdate: func(ctx context.Context, r *Request, obj, was Object) field.ErrorList {
				p, old := obj.(*admissionregistration.ValidatingAdmissionPolicy), was.(*admissionregistration.ValidatingAdmissionPolicy)
				errs := validValidatingPolicy(p, old)
				if len(errs) > 0 || samePointer(p.Spec.ParamKind, old.Spec.ParamKind) {
					return errs
				}
				return r.mayReadParams(p.Spec.ParamKind)
			},
			Warnings: warn(func(_ context.Context, p, old *admissionregistration.ValidatingAdmissionPolicy) []string {
				return staticSuffixWarnings(p.Name, old != nil)
			}),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name", "Validations#", "ParamKind", "Age"),
		row: typed(func(p *admissionregistrationv1.ValidatingAdmissionPolicy, now time.Time) []any {
			k := deref(p.Spec.ParamKind)
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindCell(k.APIVersion, k.Kind, p.Spec.ParamKind != nil), age(p.CreationTimestamp, now)}
		}),
	}
}
