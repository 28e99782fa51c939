package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func mutatingWebhookConfiguration() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingWebhookConfiguration", plural: "mutatingwebhookconfigurations",
		category: "api-extensions",
		cluster:  true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *admissionregistration.MutatingWebhookConfiguration) { c.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(c, old *admissionregistration.MutatingWebhookConfiguration) {
				bumpExactly(c, old, c.Webhooks, old.Webhooks)
			}),
			Validate: valid(func(c *admissionregistration.MutatingWebhookConfiguration) field.ErrorList {
				errs := append(validName(&c.ObjectMeta), validHooks(mutatingHooks(c), nil)...)
				errs = append(errs, validReinvocation(c)...)
				return append(errs, staticSuffix(c.Name)...)
			}),
			ValidateUpdate: validUpdate(func(c, old *admissionregistration.MutatingWebhookConfiguration) field.ErrorList {
				errs := append(validName(&c.ObjectMeta), validHooks(mutatingHooks(c), mutatingHooks(old))...)
				return append(errs, validReinvocation(c)...)
			}),
			Warnings: warn(func(_ context.Context, c, old *admissionregistration.MutatingWebhookConfiguration) []string {
				return append(staticSuffixWarnings(c.Name, old != nil), hookRulesWarnings(mutatingHooks(c))...)
			}),
			RequireResourceVersion: true,
		},
		columns: table("Name", "Webhooks#", "Age"),
		row: typed(func(c *admissionregistrationv1.MutatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), age(c.CreationTimestamp, now)}
		}),
	}
}

func mutatingHooks(c *admissionregistration.MutatingWebhookConfiguration) []hook {
	out := make([]hook, len(c.Webhooks))
	for i, h := range c.Webhooks {
		out[i] = hook{
			h.Name, h.ClientConfig, h.Rules, h.FailurePolicy, h.MatchPolicy, h.NamespaceSelector, h.ObjectSelector,
			h.SideEffects, h.TimeoutSeconds, h.AdmissionReviewVersions, h.MatchConditions,
		}
	}
	return out
}

func validReinvocation(c *admissionregistration.MutatingWebhookConfiguration) field.ErrorList {
	var errs field.ErrorList
	for i, h := range c.Webhooks {
		path := field.NewPath("webhooks").Index(i).Child("reinvocationPolicy")
		errs = append(errs, oneOf(path, h.ReinvocationPolicy, false, admissionregistration.NeverReinvocationPolicy, admissionregistration.IfNeededReinvocationPolicy)...)
	}
	return errs
}
