package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	celtypes "github.com/google/cel-go/common/types"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Refusal is what a policy says against a write.
type Refusal struct {
	Message string
	Reason  metav1.StatusReason
	// Bare: the message is the whole text of the answer, whose code is that of a forbidden write, whatever the reason. So upstream
	// answers for a MutatingAdmissionPolicy.
	Bare bool
}

func (r *Refusal) Error() string { return r.Message }

// refusal is one with a message; the reason may be left out.
func refusal(reason metav1.StatusReason, format string, args ...any) *Refusal {
	if reason == "" {
		reason = metav1.StatusReasonInvalid
	}
	return &Refusal{Message: fmt.Sprintf(format, args...), Reason: reason}
}

// Code is the HTTP status of the refusal.
func (r *Refusal) Code() int32 {
	if r.Bare {
		return http.StatusForbidden
	}
	switch r.Reason {
	case metav1.StatusReasonForbidden:
		return http.StatusForbidden
	case metav1.StatusReasonUnauthorized:
		return http.StatusUnauthorized
	case metav1.StatusReasonRequestEntityTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnprocessableEntity
}

// Validate asks every ValidatingAdmissionPolicy whose bindings mean the write. It returns the warnings of those that only warn,
// and a *Refusal where one refuses; any other error is the server's.
func (e *Engine) Validate(ctx context.Context, a admission.Attributes) (warnings []string, err error) {
	if exempt(a.GetResource().GroupResource()) {
		return nil, nil
	}
	bindings, err := listed[*admissionregistrationv1.ValidatingAdmissionPolicyBinding](ctx, e.objects, validatingBindings)
	if err != nil || len(bindings) == 0 {
		return nil, err
	}
	policies, err := listed[*admissionregistrationv1.ValidatingAdmissionPolicy](ctx, e.objects, validatingPolicies)
	if err != nil {
		return nil, err
	}
	w := &write{Attributes: a, e: e, ctx: ctx, versions: map[schema.GroupVersionKind]*admission.VersionedAttributes{}}
	var refused *Refusal
	for _, p := range policies {
		c := &check{write: w, policy: p, failure: failure(p.Spec.FailurePolicy)}
		if err := c.run(policies, bindings); err != nil {
			return warnings, err
		}
		warnings = append(warnings, c.warnings...)
		if refused == nil {
			refused = c.refused
		}
	}
	if refused != nil {
		return warnings, refused
	}
	return warnings, nil
}

// check is one policy that looks at one write.
type check struct {
	*write
	policy   *admissionregistrationv1.ValidatingAdmissionPolicy
	failure  admissionregistrationv1.FailurePolicyType
	warnings []string
	refused  *Refusal // the first
}

// finding is what one evaluation says against the write.
type finding struct {
	message string
	reason  metav1.StatusReason
	always  bool // it refuses whatever the binding's actions are
}

func (c *check) refuse(binding, message string, reason metav1.StatusReason) {
	switch {
	case c.refused != nil:
	case binding == "":
		c.refused = refusal(reason, "ValidatingAdmissionPolicy '%s' denied request: %s", c.policy.Name, message)
	default:
		c.refused = refusal(reason, "ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", c.policy.Name, binding, message)
	}
}

// misconfigured refuses for what is wrong with the policy (binding "") or a binding of it, where the policy wants that.
func (c *check) misconfigured(binding string, err error) {
	if c.failure == admissionregistrationv1.Ignore {
		return
	}
	what := "binding"
	if binding == "" {
		what = "policy"
	}
	c.refuse(binding, fmt.Sprintf("failed to configure %s: %v", what, err), "")
}

func (c *check) run(all []*admissionregistrationv1.ValidatingAdmissionPolicy, bindings []*admissionregistrationv1.ValidatingAdmissionPolicyBinding) error {
	var mine []*admissionregistrationv1.ValidatingAdmissionPolicyBinding
	for _, b := range bindings {
		if b.Spec.PolicyName == c.policy.Name {
			mine = append(mine, b)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	t, ok, err := c.matches(c.policy.Spec.MatchConstraints)
	if err != nil {
		c.misconfigured("", err)
	}
	if !ok {
		return nil
	}
	p, err := c.e.checks.of(c.policy, all, compileChecks)
	if err != nil {
		c.misconfigured("", err)
		return nil
	}
	for _, b := range mine {
		if err := c.bound(p, b, t); err != nil {
			return err
		}
	}
	return nil
}

// bound evaluates the policy as one binding wants it.
func (c *check) bound(p *program, b *admissionregistrationv1.ValidatingAdmissionPolicyBinding, t target) error {
	_, ok, err := c.matches(b.Spec.MatchResources)
	if err != nil {
		c.misconfigured(b.Name, err)
	}
	if !ok {
		return nil
	}
	params, err := c.params(c.policy.Spec.ParamKind, b.Spec.ParamRef)
	if err != nil {
		c.misconfigured(b.Name, err)
		return nil
	}
	if len(params) == 0 {
		return nil
	}
	v, err := c.as(t.kind)
	if err != nil {
		c.misconfigured(b.Name, err)
		return nil
	}
	namespace, err := c.space()
	if err != nil {
		return err
	}
	for _, param := range params {
		for _, f := range c.evaluate(p, evaluation{v, request(v, t), plugincel.OptionalVariableBindings{VersionedParams: param, Authorizer: c.e.authorizer}, namespace}) {
			c.act(b, f)
		}
	}
	return nil
}

// act does with a finding what the binding wants: refuse or warn. Audit has no effect, for there are no audit events.
func (c *check) act(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding, f finding) {
	if f.always {
		c.refuse(b.Name, f.message, f.reason)
		return
	}
	for _, action := range b.Spec.ValidationActions {
		switch action {
		case admissionregistrationv1.Deny:
			c.refuse(b.Name, f.message, f.reason)
		case admissionregistrationv1.Warn:
			c.warnings = append(c.warnings, fmt.Sprintf("Validation failed for ValidatingAdmissionPolicy '%s' with binding '%s': %s", c.policy.Name, b.Name, f.message))
		}
	}
}

// evaluation is what the expressions are given.
type evaluation struct {
	v         *admission.VersionedAttributes
	request   *admissionv1.AdmissionRequest
	bindings  plugincel.OptionalVariableBindings
	namespace *corev1.Namespace
}

func request(v *admission.VersionedAttributes, t target) *admissionv1.AdmissionRequest {
	return plugincel.CreateAdmissionRequest(v.Attributes, metav1.GroupVersionResource(t.resource), metav1.GroupVersionKind(t.kind))
}

// fault is a finding about the policy rather than the write: none where failures are ignored.
func (c *check) fault(message string) []finding {
	if c.failure == admissionregistrationv1.Ignore {
		return nil
	}
	return []finding{{message: message}}
}

func (c *check) evaluate(p *program, x evaluation) []finding {
	ok, err := met(c.ctx, p, x)
	if err != nil {
		return c.fault(err.Error())
	}
	if !ok {
		return nil
	}
	seen := plugincel.CreateNamespaceObject(x.namespace)
	results, budget, err := p.checks.ForInput(c.ctx, x.v, x.request, x.bindings, seen, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return c.fault(err.Error())
	}
	unasked := x.bindings
	unasked.Authorizer = nil
	messages, _, messageErr := p.messages.ForInput(c.ctx, x.v, x.request, unasked, seen, budget)
	tooMuch := errors.Is(messageErr, apiservercel.ErrInternal) || errors.Is(messageErr, apiservercel.ErrOutOfBudget)
	var out []finding
	for i, r := range results {
		rule := &c.policy.Spec.Validations[i]
		switch {
		case r.Error != nil:
			out = append(out, c.fault(r.Error.Error())...)
		case tooMuch:
			out = append(out, c.fault(fmt.Sprintf("failed messageExpression: %s", messageErr))...)
		case r.EvalResult != celtypes.True:
			f := finding{message: fixedMessage(rule), reason: metav1.StatusReasonInvalid}
			if i < len(messages) {
				f.message = made(messages[i], f.message)
			}
			if rule.Reason != nil {
				f.reason = *rule.Reason
			}
			out = append(out, f)
		}
	}
	return append(out, c.annotate(p, x)...)
}

// met says whether all of the policy's conditions hold. One that does not outweighs others that fail.
func met(ctx context.Context, p *program, x evaluation) (bool, error) {
	if p.conditions == nil {
		return true, nil
	}
	results, _, err := p.conditions.ForInput(ctx, x.v, x.request, x.bindings, nil, celconfig.RuntimeCELCostBudgetMatchConditions)
	errs := []error{}
	if err != nil {
		errs = append(errs, err)
	}
	for _, r := range results {
		if r.Error != nil {
			errs = append(errs, r.Error)
		}
		if r.EvalResult == celtypes.False {
			return false, nil
		}
	}
	if len(errs) > 0 && p.failure == admissionregistrationv1.Ignore {
		return false, nil
	}
	err = utilerrors.NewAggregate(errs)
	return err == nil, err
}

func fixedMessage(v *admissionregistrationv1.Validation) string {
	if v.Message != "" {
		return strings.TrimSpace(v.Message)
	}
	return "failed expression: " + strings.TrimSpace(v.Expression)
}

// made is the message that an expression made, or fixed where it made none that can be shown.
func made(r plugincel.EvaluationResult, fixed string) string {
	if r.Error != nil || r.EvalResult == nil {
		return fixed
	}
	text, ok := r.EvalResult.Value().(string)
	if text = strings.TrimSpace(text); !ok || text == "" || len(text) > celconfig.MaxEvaluatedMessageExpressionSizeBytes || strings.Contains(text, "\n") {
		return fixed
	}
	return text
}

// annotate evaluates the audit annotations, of which only the failures matter here.
func (c *check) annotate(p *program, x evaluation) (out []finding) {
	x.bindings.Authorizer = nil
	results, _, err := p.annotations.ForInput(c.ctx, x.v, x.request, x.bindings, x.namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return c.fault(err.Error())
	}
	for _, r := range results {
		if r.Error != nil && c.failure != admissionregistrationv1.Ignore {
			out = append(out, finding{message: r.Error.Error(), always: true})
		}
	}
	return out
}
