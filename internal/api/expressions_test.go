package api

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestExpressions: what does not compile, or is of the wrong type, is refused in the compiler's words.
func TestExpressions(t *testing.T) {
	path := field.NewPath("e")
	plain, with := newExpressions(false, false, nil), newExpressions(true, true, nil)
	if errs := with.variable(path, "size", "object.spec.replicas"); len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		name string
		errs field.ErrorList
		want string // of the only error; "" for none
	}{
		{"condition", plain.condition(path, "object.spec.replicas <= 5"), ""},
		{"syntax", plain.condition(path, "object.spec.replicas <="), "compilation failed: ERROR: <input>:1:24: Syntax error: mismatched input '<EOF>'"},
		{"type", plain.condition(path, "1"), "must evaluate to bool"},
		{"unknown name", plain.condition(path, "nope.x == 1"), "undeclared reference to 'nope'"},
		{"params where there are none", plain.condition(path, "params.x == 1"), "undeclared reference to 'params'"},
		{"params", with.condition(path, "params.x == 1"), ""},
		{"variable", with.condition(path, "variables.size > 1"), ""},
		{"unknown variable", with.condition(path, "variables.height > 1"), "undefined field 'height'"},
		{"variables are no business of a match", with.match(path, "variables.size > 1"), "undeclared reference to 'variables'"},
		{"variable without composition", plain.variable(path, "a", "1"), "variable composition is not allowed"},
		{"message", plain.message(path, "'no'"), ""},
		{"message of another type", plain.message(path, "1"), "must evaluate to string"},
		{"message asks nobody", plain.message(path, "authorizer.path('/').check('get').reason()"), "undeclared reference to 'authorizer'"},
		{"no annotation", plain.annotation(path, " null "), ""},
		{"annotation of another type", plain.annotation(path, "1"), "must evaluate to one of"},
		{"configuration", plain.patch(path, "Object{metadata: Object.metadata{labels: {'a':'b'}}}", "Object"), ""},
		{"no configuration", plain.patch(path, "1", "Object"), "must evaluate to Object"},
		{"steps", plain.patch(path, "[JSONPatch{op: 'add', path: '/a', value: 'x'}]", "JSONPatch"), ""},
		{"no steps", plain.patch(path, "'x'", "JSONPatch"), "must evaluate to list(JSONPatch)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" && len(c.errs) > 0 || c.want != "" && (len(c.errs) != 1 || !strings.Contains(c.errs[0].Error(), c.want)) {
				t.Errorf("%v\nwant %q", c.errs, c.want)
			}
		})
	}
}
