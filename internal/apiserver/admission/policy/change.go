package policy

import (
	"context"
	"fmt"
	"reflect"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"minato.dev/minato/internal/api"
)

// Mutate lets every MutatingAdmissionPolicy whose bindings mean the write change its object, in place, one after the other by
// name. It says whether anything changed. Policies that want to see what later ones made of the object (IfNeeded) are asked once
// more; with again, which is for a write that others have changed since, they are the only ones to be asked. The error is a
// *Refusal where a policy fails, else the server's.
func (e *Engine) Mutate(ctx context.Context, a admission.Attributes, again bool) (changed bool, err error) {
	if a.GetObject() == nil || exempt(a.GetResource().GroupResource()) {
		return false, nil
	}
	bindings, err := listed[*admissionregistrationv1.MutatingAdmissionPolicyBinding](ctx, e.objects, mutatingBindings)
	if err != nil || len(bindings) == 0 {
		return false, err
	}
	policies, err := listed[*admissionregistrationv1.MutatingAdmissionPolicy](ctx, e.objects, mutatingPolicies)
	if err != nil {
		return false, err
	}
	w := &write{Attributes: a, e: e, ctx: ctx, versions: map[schema.GroupVersionKind]*admission.VersionedAttributes{}}
	var due []invocation
	for _, p := range policies {
		if again && p.Spec.ReinvocationPolicy != admissionregistrationv1.IfNeededReinvocationPolicy {
			continue
		}
		list, err := w.invocations(p, policies, bindings)
		if err != nil {
			return false, err
		}
		due = append(due, list...)
	}
	last, err := w.round(due) // the index of the last that changed something
	if err != nil || last < 0 {
		return false, err
	}
	var before []invocation
	for _, i := range due[:last] {
		if i.policy.Spec.ReinvocationPolicy == admissionregistrationv1.IfNeededReinvocationPolicy {
			before = append(before, i)
		}
	}
	_, err = w.round(before)
	return true, err
}

// invocation is one policy with one binding and one param.
type invocation struct {
	policy  *admissionregistrationv1.MutatingAdmissionPolicy
	binding string
	program *program
	target  target
	param   runtime.Object
}

// misconfigured is the refusal for what is wrong with a policy (binding "") or a binding, nil where failures are ignored.
func misconfigured(p *admissionregistrationv1.MutatingAdmissionPolicy, binding string, err error) error {
	what := "binding"
	if binding == "" {
		what = "policy"
	}
	return failed(p, binding, metav1.StatusReasonForbidden, fmt.Errorf("failed to configure %s: %w", what, err))
}

// failed is the refusal for an error, nil where the policy's failures are ignored.
func failed(p *admissionregistrationv1.MutatingAdmissionPolicy, binding string, reason metav1.StatusReason, err error) error {
	if failure(p.Spec.FailurePolicy) == admissionregistrationv1.Ignore {
		return nil
	}
	r := refusal(reason, "policy '%s' with binding '%s' denied request: %v", p.Name, binding, err)
	if binding == "" {
		r = refusal(reason, "policy %q denied request: %v", p.Name, err)
	}
	r.Bare = true
	return r
}

// invocations works out how often, and with what, a policy is asked about the write.
func (w *write) invocations(p *admissionregistrationv1.MutatingAdmissionPolicy, all []*admissionregistrationv1.MutatingAdmissionPolicy,
	bindings []*admissionregistrationv1.MutatingAdmissionPolicyBinding) (out []invocation, err error) {
	t, ok, err := w.matches(p.Spec.MatchConstraints)
	if err != nil {
		return nil, misconfigured(p, "", err)
	}
	for _, b := range bindings {
		if !ok || b.Spec.PolicyName != p.Name {
			continue
		}
		prog, err := w.e.changes.of(p, all, compileChanges)
		if err != nil {
			return nil, misconfigured(p, "", err)
		}
		_, meant, err := w.matches(b.Spec.MatchResources)
		if err == nil && !meant {
			continue
		}
		var params []runtime.Object
		if err == nil {
			params, err = w.params(p.Spec.ParamKind, b.Spec.ParamRef)
		}
		if err != nil {
			if err := misconfigured(p, b.Name, err); err != nil {
				return nil, err
			}
			continue
		}
		for _, param := range params {
			out = append(out, invocation{p, b.Name, prog, t, param})
		}
	}
	return out, nil
}

// round asks each in turn, and returns the index of the last that changed the object, -1 where none has.
func (w *write) round(list []invocation) (last int, err error) {
	last = -1
	for n, i := range list {
		changed, err := w.invoke(i)
		if err != nil {
			if err := failed(i.policy, i.binding, metav1.StatusReasonInvalid, err); err != nil {
				return last, err
			}
			continue
		}
		if changed {
			last = n
		}
	}
	return last, nil
}

// invoke asks one policy.
func (w *write) invoke(i invocation) (changed bool, err error) {
	v, err := w.as(i.target.kind)
	if err != nil {
		return false, err
	}
	namespace, err := w.space()
	if err != nil {
		return false, err
	}
	x := evaluation{v, request(v, i.target), plugincel.OptionalVariableBindings{VersionedParams: i.param, Authorizer: w.e.authorizer}, namespace}
	if ok, err := met(w.ctx, i.program, x); err != nil || !ok {
		return false, err
	}
	before := v.VersionedObject.Object()
	if err := w.mutate(i, x); err != nil {
		v.VersionedObject.Set(before)
		return false, err
	}
	if equality.Semantic.DeepEqual(before, v.VersionedObject.Object()) {
		return false, nil
	}
	return true, w.keep(v.VersionedObject.Object())
}

// mutate applies the mutations in order; those that fail are left out where the policy's failures are ignored.
func (w *write) mutate(i invocation, x evaluation) error {
	ctx := i.program.compiler.CreateContext(w.ctx)
	for n, m := range i.program.changes {
		next, err := w.next(ctx, i, x, i.policy.Spec.Mutations[n].PatchType, m)
		switch {
		case err == nil:
			x.v.UpdateObject(next)
		case i.program.failure != admissionregistrationv1.Ignore:
			return err
		}
	}
	return nil
}

// next is the object after one mutation.
func (w *write) next(ctx context.Context, i invocation, x evaluation, t admissionregistrationv1.PatchType, m plugincel.MutatingEvaluator) (runtime.Object, error) {
	if errs := m.CompilationErrors(); len(errs) > 0 {
		return nil, errs[0]
	}
	result, _, err := m.ForInput(ctx, x.v, x.request, x.bindings, x.namespace, celconfig.RuntimeCELCostBudget)
	if err == nil {
		err = result.Error
	}
	if err != nil {
		return nil, err
	}
	return apply(t, x.v.VersionedObject.Object(), i.target.kind, result.EvalResult)
}

// keep writes a changed object back, and forgets its other versions.
func (w *write) keep(obj runtime.Object) error {
	into := w.GetObject()
	kinds, _, err := api.Scheme().ObjectKinds(into)
	if err != nil {
		return err
	}
	back, err := api.Convert(obj.DeepCopyObject(), kinds[0].GroupVersion())
	if err != nil {
		return err
	}
	if reflect.TypeOf(back) != reflect.TypeOf(into) {
		return fmt.Errorf("a change made a %T of a %T", back, into)
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(back).Elem())
	clear(w.versions)
	return nil
}
