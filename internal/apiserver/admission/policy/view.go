package policy

import (
	"context"

	"github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// View is one write for others who choose writes as policies do: webhooks. It lives no longer than the write.
type View struct{ w *write }

// View looks at a write.
func (e *Engine) View(ctx context.Context, a admission.Attributes) *View {
	return &View{&write{Attributes: a, e: e, ctx: ctx, versions: map[schema.GroupVersionKind]*admission.VersionedAttributes{}}}
}

// Matches says whether m means the write, and in which form: the resource and kind of the rule, which may be of another version
// than the client's. No rules mean nothing.
func (v *View) Matches(m *admissionregistrationv1.MatchResources) (resource schema.GroupVersionResource, kind schema.GroupVersionKind, ok bool, err error) {
	if len(m.ResourceRules) == 0 {
		return resource, kind, false, nil
	}
	t, ok, err := v.w.matches(m)
	return t.resource, t.kind, ok, err
}

// As is the write with its objects in another version of their kind.
func (v *View) As(kind schema.GroupVersionKind) (*admission.VersionedAttributes, error) {
	return v.w.as(kind)
}

// Replace puts obj, of any version of its kind, in the place of the object that is written.
func (v *View) Replace(obj runtime.Object) error { return v.w.keep(obj) }

// Meets says whether all conditions hold for the write in the form of resource and kind. Where failure is Ignore, a condition that
// cannot be evaluated does not hold; else it is an error.
func (v *View) Meets(c *Conditions, resource schema.GroupVersionResource, kind schema.GroupVersionKind) (bool, error) {
	if c == nil {
		return true, nil
	}
	as, err := v.w.as(kind)
	if err != nil {
		return false, err
	}
	return met(v.w.ctx, &c.program, evaluation{v: as, request: request(as, target{resource, kind}), bindings: plugincel.OptionalVariableBindings{Authorizer: v.w.e.authorizer}})
}

// Conditions are compiled match conditions.
type Conditions struct{ program program }

// Compile compiles match conditions; nil for none.
func Compile(list []admissionregistrationv1.MatchCondition, failure admissionregistrationv1.FailurePolicyType) *Conditions {
	if len(list) == 0 {
		return nil
	}
	compiler := plugincel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	return &Conditions{program{failure: failure, conditions: compiler.CompileCondition(accessors(list, func(c admissionregistrationv1.MatchCondition) *expression {
		return &expression{c.Expression, c.Name, []*cel.Type{cel.BoolType}}
	}), plugincel.OptionalVariableDeclarations{HasAuthorizer: true}, stored)}}
}
