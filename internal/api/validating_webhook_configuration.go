package api

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func validatingWebhookConfiguration() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingWebhookConfiguration", plural: "validatingwebhookconfigurations",
		category: "api-extensions",
		cluster:  true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *admissionregistration.ValidatingWebhookConfiguration) { c.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(c, old *admissionregistration.ValidatingWebhookConfiguration) {
				bumpExactly(c, old, c.Webhooks, old.Webhooks)
			}),
			Validate: valid(func(c *admissionregistration.ValidatingWebhookConfiguration) field.ErrorList {
				errs := append(validName(&c.ObjectMeta), validHooks(validatingHooks(c), nil)...)
				return append(errs, staticSuffix(c.Name)...)
			}),
			ValidateUpdate: validUpdate(func(c, old *admissionregistration.ValidatingWebhookConfiguration) field.ErrorList {
				return append(validName(&c.ObjectMeta), validHooks(validatingHooks(c), validatingHooks(old))...)
			}),
			Warnings: warn(func(_ context.Context, c, old *admissionregistration.ValidatingWebhookConfiguration) []string {
				return append(staticSuffixWarnings(c.Name, old != nil), hookRulesWarnings(validatingHooks(c))...)
			}),
			RequireResourceVersion: true,
		},
		columns: table("Name", "Webhooks#", "Age"),
		row: typed(func(c *admissionregistrationv1.ValidatingWebhookConfiguration, now time.Time) []any {
			return []any{c.Name, int64(len(c.Webhooks)), age(c.CreationTimestamp, now)}
		}),
	}
}

func validatingHooks(c *admissionregistration.ValidatingWebhookConfiguration) []hook {
	out := make([]hook, len(c.Webhooks))
	for i, h := range c.Webhooks {
		out[i] = hook{
			h.Name, h.ClientConfig, h.Rules, h.FailurePolicy, h.MatchPolicy, h.NamespaceSelector, h.ObjectSelector,
			h.SideEffects, h.TimeoutSeconds, h.AdmissionReviewVersions, h.MatchConditions,
		}
	}
	return out
}
