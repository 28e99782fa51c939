package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func mutatingAdmissionPolicy() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingAdmissionPolicy", plural: "mutatingadmissionpolicies",
		category: "api-extensions",
		cluster:  true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(p *admissionregistration.MutatingAdmissionPolicy) { p.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(p, old *admissionregistration.MutatingAdmissionPolicy) { bump(p, old, p.Spec, old.Spec) }),
			Validate: func(ctx context.Context, r *Request, obj Object) field.ErrorList {
				p := obj.(*admissionregistration.MutatingAdmissionPolicy)
				errs := append(validMutatingPolicy(p, nil), staticSuffix(p.Name)...)
				if len(errs) > 0 {
					return errs
				}
				return r.mayReadParams(p.Spec.ParamKind)
			},
			ValidateUpdate: func(ctx context.Context, r *Request, obj, was Object) field.ErrorList {
				p, old := obj.(*admissionregistration.MutatingAdmissionPolicy), was.(*admissionregistration.MutatingAdmissionPolicy)
				errs := validMutatingPolicy(p, old)
				if len(errs) > 0 || samePointer(p.Spec.ParamKind, old.Spec.ParamKind) {
					return errs
				}
				return r.mayReadParams(p.Spec.ParamKind)
			},
			Warnings: warn(func(_ context.Context, p, old *admissionregistration.MutatingAdmissionPolicy) []string {
				return staticSuffixWarnings(p.Name, old != nil)
			}),
			RequireResourceVersion: true,
		},
		columns: table("Name", "Mutations#", "ParamKind", "Age"),
		row: typed(func(p *admissionregistrationv1.MutatingAdmissionPolicy, now time.Time) []any {
			k := deref(p.Spec.ParamKind)
			return []any{p.Name, int64(len(p.Spec.Mutations)), paramKindCell(k.APIVersion, k.Kind, p.Spec.ParamKind != nil), age(p.CreationTimestamp, now)}
		}),
	}
}
