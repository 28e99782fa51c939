package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	celtypes "github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/cel/mutation"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/ownership"
)

// apply returns obj, which is of kind and is not touched, with the change that an expression has made, and with defaults.
func apply(t admissionregistrationv1.PatchType, obj runtime.Object, kind schema.GroupVersionKind, change ref.Val) (out runtime.Object, err error) {
	if t == admissionregistrationv1.PatchTypeJSONPatch {
		out, err = applySteps(obj, kind, change)
	} else {
		out, err = applyConfiguration(obj, kind, change)
	}
	if err != nil || out == obj {
		return out, err
	}
	out.GetObjectKind().SetGroupVersionKind(kind)
	api.Default(out)
	return out, nil
}

// applySteps applies a JSON patch. One whose tests fail changes nothing.
func applySteps(obj runtime.Object, kind schema.GroupVersionKind, change ref.Val) (runtime.Object, error) {
	patch, err := steps(change)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	body, err = patch.Apply(body)
	if errors.Is(err, jsonpatch.ErrTestFailed) {
		return obj, nil
	}
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	out, _, err := api.DecodeAs(kind, body, api.JSON, api.Strict)
	return out, err
}

// steps reads the list of JSONPatch values that an expression made.
func steps(change ref.Val) (out jsonpatch.Patch, err error) {
	list, ok := change.(traits.Lister)
	if !ok {
		return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array")
	}
	for it := list.Iterator(); it.HasNext() == celtypes.True; {
		native, err := it.Next().ConvertToNative(reflect.TypeFor[*mutation.JSONPatchVal]())
		step, ok := native.(*mutation.JSONPatchVal)
		if err != nil || !ok {
			return nil, fmt.Errorf("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch: %w", err)
		}
		op := jsonpatch.Operation{}
		set := func(field string, v any) {
			b, e := json.Marshal(v)
			raw := json.RawMessage(b)
			op[field], err = &raw, errors.Join(err, e)
		}
		set("op", step.Op)
		set("path", step.Path)
		if step.From != "" {
			set("from", step.From)
		}
		if step.Val != nil {
			v, e := plain(step.Val)
			err = errors.Join(err, e)
			set("value", v)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, op)
	}
	return out, nil
}

// plain is a value of an expression as JSON knows it.
func plain(v ref.Val) (any, error) {
	if err := wellNamed(v); err != nil {
		return nil, err
	}
	p, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w", err)
	}
	return p, nil
}

// wellNamed says whether the names of types in an object agree with the fields where they stand, which the compiler does not check.
func wellNamed(v ref.Val) error {
	if o, ok := v.(*dynamic.ObjectVal); ok {
		if err := o.CheckTypeNamesMatchFieldPathNames(); err != nil {
			return fmt.Errorf("type mismatch: %w", err)
		}
	}
	return nil
}

// fields is the schema by which configurations are merged, read when the first policy needs it.
var fields = sync.OnceValues(func() (managedfields.TypeConverter, error) {
	p, err := ownership.Parser()
	if err != nil {
		return nil, err
	}
	return managedfields.NewSchemeTypeConverter(api.Scheme(), p), nil
})

// applyConfiguration merges the fields of an Object into obj as an apply does, but without owning them.
func applyConfiguration(obj runtime.Object, kind schema.GroupVersionKind, change ref.Val) (runtime.Object, error) {
	if err := wellNamed(change); err != nil {
		return nil, err
	}
	wanted, ok := change.Value().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("invalid return type: %T", change.Value())
	}
	types, err := fields()
	if err != nil {
		return nil, err
	}
	patch := &unstructured.Unstructured{Object: wanted}
	patch.SetGroupVersionKind(kind)
	part, err := types.ObjectToTyped(patch)
	if err != nil {
		return nil, fmt.Errorf("error applying patch: failed to convert patch object to typed object: %w", err)
	}
	if found := atomics(nil, part.Schema(), part.TypeRef(), part.AsValue()); len(found) > 0 {
		return nil, fmt.Errorf("error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: %s", strings.Join(found, ", "))
	}
	whole, err := types.ObjectToTyped(obj, typed.AllowDuplicates)
	if err == nil {
		whole, err = whole.Merge(part)
	}
	if err != nil {
		return nil, fmt.Errorf("error applying patch: %w", err)
	}
	out, err := api.Scheme().New(kind)
	if err != nil {
		return nil, err
	}
	content, ok := whole.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("error applying patch: the result is no object")
	}
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(content, out)
}

// atomics are the paths of all lists, maps and structs in v that can only be set as a whole: who sets some fields of one would
// remove the others without meaning to.
func atomics(path fieldpath.Path, s *smdschema.Schema, t smdschema.TypeRef, v value.Value) (out []string) {
	a, ok := s.Resolve(t)
	if !ok {
		return nil
	}
	if v.IsMap() && a.Map != nil {
		if a.Map.ElementRelationship == smdschema.Atomic {
			out = append(out, path.String())
		}
		v.AsMap().Iterate(func(key string, val value.Value) bool {
			if f, ok := a.Map.FindField(key); ok {
				out = append(out, atomics(append(slices.Clone(path), fieldpath.PathElement{FieldName: &key}), s, f.Type, val)...)
			}
			return true
		})
	}
	if v.IsList() && a.List != nil {
		if a.List.ElementRelationship == smdschema.Atomic {
			out = append(out, path.String())
		}
		list := v.AsList()
		for i := range list.Length() {
			out = append(out, atomics(append(slices.Clone(path), fieldpath.PathElement{Index: &i}), s, a.List.ElementType, list.At(i))...)
		}
	}
	return out
}
