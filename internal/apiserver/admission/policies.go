package admission

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8sadmission "k8s.io/apiserver/pkg/admission"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission/policy"
	"minato.dev/minato/internal/apiserver/admission/webhook"
)

// everything is a handles for whatever is written; the rules of policies and webhooks choose.
func everything(Operation, schema.GroupResource, string) bool { return true }

// policyChanges lets MutatingAdmissionPolicies change the object.
func policyChanges(e *policy.Engine) plugin {
	return plugin{name: "MutatingAdmissionPolicy", handles: everything, admit: func(ctx context.Context, _ *Config, a *Attributes) error {
		if a.Operation == Delete {
			return nil
		}
		changed, err := e.Mutate(ctx, a.record(), a.again)
		a.changed = a.changed || changed
		return a.refusedBy(err)
	}}
}

// policyChecks asks ValidatingAdmissionPolicies.
func policyChecks(e *policy.Engine) plugin {
	return plugin{name: "ValidatingAdmissionPolicy", handles: everything, validate: func(ctx context.Context, _ *Config, a *Attributes) error {
		warnings, err := e.Validate(ctx, a.record())
		a.Warnings = append(a.Warnings, warnings...)
		return a.refusedBy(err)
	}}
}

// webhookChanges lets mutating webhooks change the object.
func webhookChanges(e *webhook.Engine) plugin {
	return plugin{name: "MutatingAdmissionWebhook", handles: everything, admit: func(ctx context.Context, _ *Config, a *Attributes) error {
		changed, warnings, err := e.Mutate(ctx, a.record(), a.again)
		a.changed, a.Warnings = a.changed || changed, append(a.Warnings, warnings...)
		return err
	}}
}

// webhookChecks asks validating webhooks.
func webhookChecks(e *webhook.Engine) plugin {
	return plugin{name: "ValidatingAdmissionWebhook", handles: everything, validate: func(ctx context.Context, _ *Config, a *Attributes) error {
		warnings, err := e.Validate(ctx, a.record())
		a.Warnings = append(a.Warnings, warnings...)
		return err
	}}
}

// record is the write as policies and webhooks know it: of the kind that the client has sent, which for a connection is that of
// its options.
func (a *Attributes) record() k8sadmission.Attributes {
	kind := a.Kind
	if r := api.Find(a.Resource); r != nil && kind == r.Storage {
		kind = r.GVK()
	}
	if a.Operation == Connect && a.Object != nil {
		if kinds, _, err := api.Scheme().ObjectKinds(a.Object); err == nil {
			kind = kinds[0]
		}
	}
	return k8sadmission.NewAttributesRecord(a.Object, a.OldObject, kind, a.Namespace, a.Name, a.Resource, a.Subresource,
		k8sadmission.Operation(a.Operation), a.Options, a.DryRun, a.User)
}

// refusedBy is the refusal of the write for a policy's, with the policy's reason; other errors stay as they are.
func (a *Attributes) refusedBy(err error) error {
	var r *policy.Refusal
	if !errors.As(err, &r) {
		return err
	}
	st := a.forbidden(r)
	st.ErrStatus.Reason, st.ErrStatus.Code = r.Reason, r.Code()
	if r.Bare {
		st.ErrStatus.Message = r.Message
	}
	st.ErrStatus.Details.Causes = append(st.ErrStatus.Details.Causes, metav1.StatusCause{Message: r.Message})
	return st
}
