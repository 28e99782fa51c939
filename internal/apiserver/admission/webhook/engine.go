package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"minato.dev/minato/internal/apiserver/admission/policy"
	"minato.dev/minato/internal/run"
)

// Engine asks the cluster's webhooks.
type Engine struct {
	objects    policy.Objects
	policies   *policy.Engine
	callers    callers
	mu         sync.Mutex
	conditions map[string]*policy.Conditions // by their text
}

// New returns an engine that chooses writes with policies. dial nil is the net package's.
func New(o policy.Objects, policies *policy.Engine, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Engine {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &Engine{objects: o, policies: policies, callers: callers{objects: o, dial: dial}, conditions: map[string]*policy.Conditions{}}
}

// hook is a webhook of either kind.
type hook struct {
	name     string
	client   admissionregistrationv1.WebhookClientConfig
	match    admissionregistrationv1.MatchResources
	when     []admissionregistrationv1.MatchCondition
	failure  admissionregistrationv1.FailurePolicyType
	effects  admissionregistrationv1.SideEffectClass
	timeout  int32 // seconds
	versions []string
	again    bool
}

func named(rules []admissionregistrationv1.RuleWithOperations) (out []admissionregistrationv1.NamedRuleWithOperations) {
	for _, r := range rules {
		out = append(out, admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: r})
	}
	return out
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func (e *Engine) validating(ctx context.Context) (out []hook, err error) {
	list, err := e.objects.List(ctx, admissionregistrationv1.Resource("validatingwebhookconfigurations"), "")
	for _, o := range list {
		c, ok := o.(*admissionregistrationv1.ValidatingWebhookConfiguration)
		if !ok {
			return nil, apierrors.NewInternalError(fmt.Errorf("a validating webhook configuration is stored as %T", o))
		}
		for _, w := range c.Webhooks {
			out = append(out, hook{w.Name, w.ClientConfig, admissionregistrationv1.MatchResources{NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector,
				ResourceRules: named(w.Rules), MatchPolicy: w.MatchPolicy}, w.MatchConditions, or(w.FailurePolicy, admissionregistrationv1.Fail),
				or(w.SideEffects, admissionregistrationv1.SideEffectClassUnknown), or(w.TimeoutSeconds, 10), w.AdmissionReviewVersions, false})
		}
	}
	return out, err
}

func (e *Engine) mutating(ctx context.Context) (out []hook, err error) {
	list, err := e.objects.List(ctx, admissionregistrationv1.Resource("mutatingwebhookconfigurations"), "")
	for _, o := range list {
		c, ok := o.(*admissionregistrationv1.MutatingWebhookConfiguration)
		if !ok {
			return nil, apierrors.NewInternalError(fmt.Errorf("a mutating webhook configuration is stored as %T", o))
		}
		for _, w := range c.Webhooks {
			out = append(out, hook{w.Name, w.ClientConfig, admissionregistrationv1.MatchResources{NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector,
				ResourceRules: named(w.Rules), MatchPolicy: w.MatchPolicy}, w.MatchConditions, or(w.FailurePolicy, admissionregistrationv1.Fail),
				or(w.SideEffects, admissionregistrationv1.SideEffectClassUnknown), or(w.TimeoutSeconds, 10), w.AdmissionReviewVersions,
				or(w.ReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy) == admissionregistrationv1.IfNeededReinvocationPolicy})
		}
	}
	return out, err
}

// exempt are the kinds that configure admission: no webhook can lock everybody out.
func exempt(a admission.Attributes) bool {
	return a.GetResource().Group == admissionregistrationv1.GroupName
}

// question is a webhook that means the write, and the form in which it wants to see it.
type question struct {
	hook
	resource schema.GroupVersionResource
	kind     schema.GroupVersionKind
}

// due returns the question to a webhook, nil where it does not mean the write.
func (e *Engine) due(v *policy.View, a admission.Attributes, h hook) (*question, error) {
	resource, kind, ok, err := v.Matches(&h.match)
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("webhook %q: %w", h.name, err))
	}
	if !ok {
		return nil, nil
	}
	if ok, err = v.Meets(e.compiled(&h), resource, kind); err != nil {
		return nil, apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), err)
	}
	if !ok {
		return nil, nil
	}
	if a.IsDryRun() && h.effects != admissionregistrationv1.SideEffectClassNone && h.effects != admissionregistrationv1.SideEffectClassNoneOnDryRun {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("admission webhook %q does not support dry run", h.name))
	}
	return &question{h, resource, kind}, nil
}

// maxConditions bounds what is kept of compiled conditions; beyond it all are compiled anew.
const maxConditions = 1000

func (e *Engine) compiled(h *hook) *policy.Conditions {
	if len(h.when) == 0 {
		return nil
	}
	key := fmt.Sprintf("%s %q", h.failure, h.when)
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.conditions[key]
	if c == nil {
		c = policy.Compile(h.when, h.failure)
		if len(e.conditions) >= maxConditions {
			clear(e.conditions)
		}
		e.conditions[key] = c
	}
	return c
}

// Validate asks all validating webhooks that mean the write, at once. The first refusal, in the order of their names, is the
// error: an API status.
func (e *Engine) Validate(ctx context.Context, a admission.Attributes) (warnings []string, err error) {
	if exempt(a) {
		return nil, nil
	}
	hooks, err := e.validating(ctx)
	if err != nil || len(hooks) == 0 {
		return nil, err
	}
	v := e.policies.View(ctx, a)
	var list []*question
	var bodies []*review
	for _, h := range hooks {
		q, err := e.due(v, a, h)
		if err != nil {
			return nil, err
		}
		if q == nil {
			continue
		}
		body, err := e.ask(v, q)
		if err != nil {
			return nil, err
		}
		list, bodies = append(list, q), append(bodies, body)
	}
	answers, errs := make([]*answer, len(list)), make([]error, len(list))
	_ = run.With(ctx, func(s *run.Scope) error { // what goes wrong is in errs
		for i, q := range list {
			s.Go("webhook "+q.name, func(ctx context.Context) error {
				answers[i], errs[i] = e.callers.call(ctx, q, bodies[i])
				return nil
			})
		}
		return nil
	})
	for i, q := range list {
		said, refused := verdict(q, answers[i], errs[i])
		warnings = append(warnings, said...)
		if err == nil {
			err = refused
		}
	}
	return warnings, err
}

// ask makes the question's body.
func (e *Engine) ask(v *policy.View, q *question) (*review, error) {
	as, err := v.As(q.kind)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return newReview(as, q)
}

// Mutate lets all mutating webhooks that mean the write change its object, in place, one after the other. It says whether anything
// changed. Those that want to see what later ones made of the object (IfNeeded) are asked once more; with again, which is for a
// write that others have changed since, they are the only ones to be asked. The error is an API status.
func (e *Engine) Mutate(ctx context.Context, a admission.Attributes, again bool) (changed bool, warnings []string, err error) {
	if exempt(a) {
		return false, nil, nil
	}
	hooks, err := e.mutating(ctx)
	if again {
		hooks = slices.DeleteFunc(hooks, func(h hook) bool { return !h.again })
	}
	if err != nil || len(hooks) == 0 {
		return false, nil, err
	}
	v := e.policies.View(ctx, a)
	last, warnings, err := e.round(ctx, v, a, hooks)
	if err != nil || last < 0 {
		return false, warnings, err
	}
	before := slices.DeleteFunc(slices.Clone(hooks[:last]), func(h hook) bool { return !h.again })
	_, more, err := e.round(ctx, v, a, before)
	return true, append(warnings, more...), err
}

// round asks each in turn, and returns the index of the last that changed the object, -1 where none has.
func (e *Engine) round(ctx context.Context, v *policy.View, a admission.Attributes, hooks []hook) (last int, warnings []string, err error) {
	last = -1
	for i, h := range hooks {
		q, err := e.due(v, a, h)
		if err != nil {
			return last, warnings, err
		}
		if q == nil {
			continue
		}
		body, err := e.ask(v, q)
		if err != nil {
			return last, warnings, err
		}
		said, err := e.callers.call(ctx, q, body)
		var changed runtime.Object
		if err == nil {
			changed, err = said.change(body)
		}
		more, refused := verdict(q, said, err)
		warnings = append(warnings, more...)
		if refused != nil {
			return last, warnings, refused
		}
		if changed != nil {
			if err := v.Replace(changed); err != nil {
				return last, warnings, apierrors.NewInternalError(err)
			}
			last = i
		}
	}
	return last, warnings, nil
}

// verdict is what an answer, or its absence, means for the write.
func verdict(q *question, said *answer, err error) (warnings []string, refused error) {
	var broken *failure
	switch {
	case errors.As(err, &broken) && q.failure == admissionregistrationv1.Ignore:
		return nil, nil
	case err != nil:
		return nil, apierrors.NewInternalError(err)
	case !said.allowed:
		return said.warnings, said.refusal(q.name)
	}
	return said.warnings, nil
}
