package api

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// expressions compiles the CEL expressions of one admission policy or webhook, so that what cannot be evaluated is refused
// when it is written.
type expressions struct {
	compiler plugincel.Compiler
	params   bool            // there are params to speak of
	had      map[string]bool // what the old object says already; it may use what newer versions no longer take
}

// stateless compiles for everybody who declares no variables of their own.
var stateless = sync.OnceValue(func() plugincel.Compiler { return plugincel.NewCompiler(baseEnvironment()) })

func baseEnvironment() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
}

// newExpressions is the compiler of one object; old are the expressions of what it replaces. Variables make it stateful: it
// then knows each variable that was checked before.
func newExpressions(variables, params bool, old []string) *expressions {
	x := &expressions{compiler: stateless(), params: params, had: map[string]bool{}}
	for _, text := range old {
		x.had[text] = true
	}
	if variables {
		if c, err := plugincel.NewCompositedCompiler(baseEnvironment()); err == nil {
			x.compiler = c
		}
	}
	return x
}

// expression is one text and what it may evaluate to.
type expression struct {
	text, name string
	returns    []*cel.Type
}

func (e expression) GetExpression() string    { return e.text }
func (e expression) GetName() string          { return e.name }
func (e expression) ReturnTypes() []*cel.Type { return e.returns }

func (x *expressions) mode(text string) environment.Type {
	if x.had[text] {
		return environment.StoredExpressions
	}
	return environment.NewExpressions
}

// condition is an expression that says yes or no.
func (x *expressions) condition(path *field.Path, text string) field.ErrorList {
	return x.check(path, expression{text: text, returns: []*cel.Type{cel.BoolType}}, plugincel.OptionalVariableDeclarations{HasAuthorizer: true})
}

// match is a condition that decides whether anything is asked at all; it knows no variables.
func (x *expressions) match(path *field.Path, text string) field.ErrorList {
	plain := *x
	plain.compiler = stateless()
	return plain.condition(path, strings.TrimSpace(text))
}

// message is an expression that makes the text of a refusal.
func (x *expressions) message(path *field.Path, text string) field.ErrorList {
	return x.check(path, expression{text: text, returns: []*cel.Type{cel.StringType}}, plugincel.OptionalVariableDeclarations{})
}

// annotation is an expression that makes an audit annotation, or none.
func (x *expressions) annotation(path *field.Path, text string) field.ErrorList {
	return x.check(path, expression{text: strings.TrimSpace(text), returns: []*cel.Type{cel.StringType, cel.NullType}},
		plugincel.OptionalVariableDeclarations{HasAuthorizer: true})
}

// patch is an expression that makes a change: of type "Object" an applied configuration, of type "JSONPatch" a list of steps.
func (x *expressions) patch(path *field.Path, text, kind string) field.ErrorList {
	t := cel.ObjectType(kind)
	if kind == "JSONPatch" {
		t = cel.ListType(t)
	}
	return x.check(path, expression{text: strings.TrimSpace(text), returns: []*cel.Type{t}},
		plugincel.OptionalVariableDeclarations{HasAuthorizer: true, HasPatchTypes: true})
}

// variable is an expression that later ones know by its name.
func (x *expressions) variable(path *field.Path, name, text string) field.ErrorList {
	c, ok := x.compiler.(*plugincel.CompositedCompiler)
	if !ok {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("variable composition is not allowed"))}
	}
	e := expression{text: text, name: name, returns: []*cel.Type{cel.AnyType, cel.DynType}}
	return complaint(path, e, c.CompileAndStoreVariable(e, plugincel.OptionalVariableDeclarations{HasParams: x.params, HasAuthorizer: true}, x.mode(text)).Error)
}

func (x *expressions) check(path *field.Path, e expression, o plugincel.OptionalVariableDeclarations) field.ErrorList {
	o.HasParams = x.params
	return complaint(path, e, x.compiler.CompileCELExpression(e, o, x.mode(e.text)).Error)
}

// complaint is a compiler's error as one of the field.
func complaint(path *field.Path, e expression, err *apiservercel.Error) field.ErrorList {
	if err == nil {
		return nil
	}
	switch err.Type {
	case apiservercel.ErrorTypeRequired:
		return field.ErrorList{field.Required(path, err.Detail)}
	case apiservercel.ErrorTypeInvalid:
		return field.ErrorList{field.Invalid(path, e.text, err.Detail)}
	}
	return field.ErrorList{field.InternalError(path, err)}
}
