package api

import (
	"context"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
)

// The functions below make a Strategy's functions from ones on a concrete internal type.

func prepare[T Object](f func(T)) func(*Request, Object) {
	return func(_ *Request, obj Object) { f(obj.(T)) }
}

func prepareUpdate[T Object](f func(obj, old T)) func(*Request, Object, Object) {
	return func(_ *Request, obj, old Object) { f(obj.(T), old.(T)) }
}

func valid[T Object](f func(T) field.ErrorList) func(context.Context, *Request, Object) field.ErrorList {
	return func(ctx context.Context, _ *Request, obj Object) field.ErrorList { return f(obj.(T)) }
}

func validUpdate[T Object](f func(obj, old T) field.ErrorList) func(context.Context, *Request, Object, Object) field.ErrorList {
	return func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

// validBoth checks an update as a new object and as a change.
func validBoth[T Object](f func(T) field.ErrorList, g func(obj, old T) field.ErrorList) func(context.Context, *Request, Object, Object) field.ErrorList {
	return func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList {
		return append(f(obj.(T)), g(obj.(T), old.(T))...)
	}
}

// warn gets the zero T for old on create.
func warn[T Object](f func(ctx context.Context, obj, old T) []string) func(context.Context, Object, Object) []string {
	return func(ctx context.Context, obj, old Object) []string {
		var o T
		if old != nil {
			o = old.(T)
		}
		return f(ctx, obj.(T), o)
	}
}

// selectable is for the storage type, not the internal one.
func selectable[T runtime.Object](f func(T) map[string]string) func(obj runtime.Object) map[string]string {
	return func(obj runtime.Object) map[string]string {
		t, ok := obj.(T)
		if !ok {
			return nil
		}
		return f(t)
	}
}

func sameValue(a, b any) bool { return Equal(a, b) }

// bump raises the generation when the spec, or whatever a and b are, has changed.
func bump(obj, old Object, a, b any) {
	if !sameValue(a, b) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// bumpExactly is bump for kinds whose upstream tells an empty list from none.
func bumpExactly(obj, old Object, a, b any) {
	if !reflect.DeepEqual(a, b) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// gate says whether upstream's feature gate is on; all have their defaults.
func gate(name string) bool { return utilfeature.DefaultFeatureGate.Enabled(featuregate.Feature(name)) }

// options are the gates that declarative validation of a kind asks about.
func options(gates ...string) func(obj, old Object) Declarative {
	return func(Object, Object) Declarative {
		d := Declarative{Options: map[string]bool{}}
		for _, g := range gates {
			d.Options[g] = gate(g)
		}
		return d
	}
}

// rules normalises field paths where two versions of a kind differ.
func rules(r []field.NormalizationRule) func(obj, old Object) Declarative {
	return func(Object, Object) Declarative { return Declarative{Rules: r} }
}

// statusOnly keeps a status update off the metadata that it may not touch.
func statusOnly(obj, old metav1.Object) { metav1.ResetObjectMetaForStatus(obj, old) }

// hostnameWarning tells that a name does not fit where pods use it; where is "the Pod's hostname" or "Pod names and hostnames".
func hostnameWarning(name, where string) []string {
	msgs := utilvalidation.IsDNS1123Label(name)
	if len(msgs) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in %s, which can result in surprising behavior; a DNS label is recommended: %v", where, msgs)}
}

var (
	statusField = []string{"status"}
	specField   = []string{"spec"}
)
