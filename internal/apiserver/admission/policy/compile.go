package policy

import (
	"sync"

	"github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// program is a compiled policy. What does not compile says so when it is evaluated.
type program struct {
	failure    admissionregistrationv1.FailurePolicyType
	conditions plugincel.ConditionEvaluator // nil: none

	// of a ValidatingAdmissionPolicy
	checks, messages, annotations plugincel.ConditionEvaluator

	// of a MutatingAdmissionPolicy
	compiler *plugincel.CompositedCompiler
	changes  []plugincel.MutatingEvaluator
}

// expression is one text and what it may evaluate to.
type expression struct {
	text, name string
	returns    []*cel.Type
}

func (e *expression) GetExpression() string    { return e.text }
func (e *expression) GetName() string          { return e.name }
func (e *expression) ReturnTypes() []*cel.Type { return e.returns }

// stored: whatever was accepted once is compiled.
const stored = environment.StoredExpressions

func accessors[T any](list []T, f func(T) *expression) []plugincel.ExpressionAccessor {
	out := make([]plugincel.ExpressionAccessor, len(list))
	for i, x := range list {
		if e := f(x); e != nil {
			out[i] = e
		}
	}
	return out
}

// begin makes what both kinds of policy have: variables and conditions.
func begin(p *program, variables []admissionregistrationv1.Variable, conditions []admissionregistrationv1.MatchCondition, params bool) (plugincel.OptionalVariableDeclarations, error) {
	known := plugincel.OptionalVariableDeclarations{HasParams: params, HasAuthorizer: true}
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return known, err
	}
	p.compiler = compiler
	for _, v := range variables {
		compiler.CompileAndStoreVariable(&expression{v.Expression, v.Name, []*cel.Type{cel.AnyType, cel.DynType}}, known, stored)
	}
	if len(conditions) > 0 {
		p.conditions = compiler.CompileCondition(accessors(conditions, func(c admissionregistrationv1.MatchCondition) *expression {
			return &expression{c.Expression, c.Name, []*cel.Type{cel.BoolType}}
		}), known, stored)
	}
	return known, nil
}

func compileChecks(policy *admissionregistrationv1.ValidatingAdmissionPolicy) (*program, error) {
	p, spec := &program{failure: failure(policy.Spec.FailurePolicy)}, &policy.Spec
	known, err := begin(p, spec.Variables, spec.MatchConditions, spec.ParamKind != nil)
	if err != nil {
		return nil, err
	}
	p.checks = p.compiler.CompileCondition(accessors(spec.Validations, func(v admissionregistrationv1.Validation) *expression {
		return &expression{v.Expression, "", []*cel.Type{cel.BoolType}}
	}), known, stored)
	p.annotations = p.compiler.CompileCondition(accessors(spec.AuditAnnotations, func(a admissionregistrationv1.AuditAnnotation) *expression {
		return &expression{a.ValueExpression, a.Key, []*cel.Type{cel.StringType, cel.NullType}}
	}), known, stored)
	known.HasAuthorizer = false
	p.messages = p.compiler.CompileCondition(accessors(spec.Validations, func(v admissionregistrationv1.Validation) *expression {
		if v.MessageExpression == "" {
			return nil
		}
		return &expression{v.MessageExpression, "", []*cel.Type{cel.StringType}}
	}), known, stored)
	return p, nil
}

func compileChanges(policy *admissionregistrationv1.MutatingAdmissionPolicy) (*program, error) {
	p, spec := &program{failure: failure(policy.Spec.FailurePolicy)}, &policy.Spec
	known, err := begin(p, spec.Variables, spec.MatchConditions, spec.ParamKind != nil)
	if err != nil {
		return nil, err
	}
	known.HasPatchTypes = true
	for _, m := range spec.Mutations {
		switch {
		case m.JSONPatch != nil:
			e := &expression{m.JSONPatch.Expression, "", []*cel.Type{cel.ListType(cel.ObjectType("JSONPatch"))}}
			p.changes = append(p.changes, p.compiler.CompileMutatingEvaluator(e, known, stored))
		case m.ApplyConfiguration != nil:
			e := &expression{m.ApplyConfiguration.Expression, "", []*cel.Type{cel.ObjectType("Object")}}
			p.changes = append(p.changes, p.compiler.CompileMutatingEvaluator(e, known, stored))
		}
	}
	return p, nil
}

func failure(p *admissionregistrationv1.FailurePolicyType) admissionregistrationv1.FailurePolicyType {
	if p == nil {
		return admissionregistrationv1.Fail
	}
	return *p
}

// programs keeps what was compiled of the policies that are there.
type programs[P metav1.Object] struct {
	mu    sync.Mutex
	known map[types.UID]compiled
}

type compiled struct {
	generation int64
	program    *program
	err        error
}

// of returns a policy's program; all are the policies that there are: what others have left behind is dropped.
func (s *programs[P]) of(p P, all []P, compile func(P) (*program, error)) (*program, error) {
	s.mu.Lock()
	c, ok := s.known[p.GetUID()]
	s.mu.Unlock()
	if ok && c.generation == p.GetGeneration() {
		return c.program, c.err
	}
	c = compiled{generation: p.GetGeneration()}
	c.program, c.err = compile(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[types.UID]compiled{}
	for _, o := range all {
		if k, ok := s.known[o.GetUID()]; ok {
			kept[o.GetUID()] = k
		}
	}
	kept[p.GetUID()] = c
	s.known = kept
	return c.program, c.err
}
