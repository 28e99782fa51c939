package api

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
	"k8s.io/kubernetes/pkg/apis/flowcontrol/internalbootstrap"
	"k8s.io/kubernetes/pkg/apis/flowcontrol/validation"
)

// TestFlowValidationIsUpstreams makes random objects out of words that the rules know, and compares every error.
func TestFlowValidationIsUpstreams(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 5000 {
		f := &flowcontrol.FlowSchema{}
		fill(r, reflect.ValueOf(&f.Spec).Elem())
		fill(r, reflect.ValueOf(&f.Status).Elem())
		f.Name = words[r.IntN(len(words))]
		if mandatory, ok := internalbootstrap.MandatoryFlowSchemas[f.Name]; ok && r.IntN(2) == 0 {
			f.Spec = *mandatory.Spec.DeepCopy()
		}
		want := validation.ValidateFlowSchema(f)
		refused += min(len(want), 1)
		sameErrors(t, f, validFlow(f), want)
		sameErrors(t, f, validFlowStatus(f), validation.ValidateFlowSchemaStatusUpdate(f, f))

		p := &flowcontrol.PriorityLevelConfiguration{}
		fill(r, reflect.ValueOf(&p.Spec).Elem())
		fill(r, reflect.ValueOf(&p.Status).Elem())
		p.Name = words[r.IntN(len(words))]
		if mandatory, ok := internalbootstrap.MandatoryPriorityLevelConfigurations[p.Name]; ok && r.IntN(2) == 0 {
			p.Spec = *mandatory.Spec.DeepCopy()
		}
		if r.IntN(9) == 0 {
			p.Annotations = map[string]string{roundTrip: ""}
		}
		sameErrors(t, p, validLevel(t.Context(), nil, p), validation.ValidatePriorityLevelConfiguration(p, flowControl, validation.PriorityLevelValidationOptions{}))
		sameErrors(t, p, validLevelStatus(p), validation.ValidatePriorityLevelConfigurationStatusUpdate(p, p))
	}
	if refused == 0 || refused == 5000 {
		t.Errorf("%d of 5000 schemas were refused", refused)
	}
}

// TestFlowDefaultsAreValid has what every cluster is born with.
func TestFlowDefaultsAreValid(t *testing.T) {
	for _, f := range append(bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas...) {
		in, err := Scheme().ConvertToVersion(f, flowcontrol.SchemeGroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		if errs := validFlow(in.(*flowcontrol.FlowSchema)); len(errs) > 0 {
			t.Errorf("%s: %v", f.Name, errs)
		}
	}
}

var flowControl = flowcontrol.SchemeGroupVersion

func sameErrors(t *testing.T, obj any, got, want field.ErrorList) {
	t.Helper()
	if g, w := told(got), told(want); !reflect.DeepEqual(g, w) {
		t.Fatalf("of %+v\n got %q\nwant %q", obj, g, w)
	}
}

func told(errs field.ErrorList) (list []string) {
	for _, e := range errs {
		list = append(list, fmt.Sprintf("%s %s %v", e.Type, e.Error(), e.CoveredByDeclarative))
	}
	return list
}

// words are names, kinds, types, verbs and paths, good and bad ones.
var words = []string{"", "*", "get", "watch", "fly", "exempt", "catch-all", "a-name", "Bad Name", "/", "/a/*", "//", "/a b", "a/", "/*/*", "/a*",
	"User", "Group", "ServiceAccount", "ByUser", "ByNamespace", "Exempt", "Limited", "Queue", "Reject", "Dangling"}

var numbers = []int64{-1, 0, 1, 2, 7, 50, 64, 100, 101, 10000, 10001, 20_000_000}

// fill gives v a random value: of strings the words, of numbers those at the edges.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
		if v.Type().PkgPath() != "" { // types and kinds, which one word in 26 would fit
			known := words[len(words)-10:]
			v.SetString(append(known, "")[r.IntN(len(known)+1)])
		}
	case reflect.Int32:
		v.SetInt(numbers[r.IntN(len(numbers))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "LastTransitionTime" {
				fill(r, v.Field(i))
			}
		}
	}
}
