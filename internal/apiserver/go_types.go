package apiserver

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"minato.dev/minato/internal/api"
)

// goTypes is a TypeConverter for updates. The library holds the old and the new object against the schema, field by field,
// before it compares them, which is a sixth of what an update costs. A Go type of the API has no field that its schema, made
// of the same type, has not, and nothing of another type; what else the walk can find, list items without their keys,
// the comparison finds too. A test compares the outcome with the library's on random objects of every kind.
//
// Applied configurations are other people's JSON: they are always held against the schema.
type goTypes struct {
	managedfields.TypeConverter
	schema *typed.Parser
}

// ObjectToTyped is in managedfields.TypeConverter.
func (g goTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if _, anyShape := obj.(*unstructured.Unstructured); anyShape || len(opts) != 1 || opts[0] != typed.AllowDuplicates {
		return g.TypeConverter.ObjectToTyped(obj, opts...)
	}
	name, err := api.Scheme().ToOpenAPIDefinitionName(obj.GetObjectKind().GroupVersionKind())
	if err != nil {
		return nil, err
	}
	v, err := value.NewValueReflect(obj)
	if err != nil {
		return nil, err
	}
	t := g.schema.Type(name)
	return typed.AsTypedUnvalidated(v, t.Schema, t.TypeRef), nil
}
