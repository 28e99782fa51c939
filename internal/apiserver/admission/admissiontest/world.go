// Package admissiontest is a cluster's state in a map, for the tests of admission.
package admissiontest

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// World answers what admission asks of the objects that there are. Change it only while nobody asks.
type World map[schema.GroupResource][]runtime.Object

// Get returns the object of that name, or NotFound.
func (w World) Get(_ context.Context, gr schema.GroupResource, ns, name string) (runtime.Object, error) {
	for _, o := range w[gr] {
		if m := o.(metav1.Object); m.GetNamespace() == ns && m.GetName() == name {
			return o, nil
		}
	}
	return nil, apierrors.NewNotFound(gr, name)
}

// List returns the objects of a namespace, or all of them where ns is empty.
func (w World) List(_ context.Context, gr schema.GroupResource, ns string) (out []runtime.Object, _ error) {
	for _, o := range w[gr] {
		if ns == "" || o.(metav1.Object).GetNamespace() == ns {
			out = append(out, o)
		}
	}
	return out, nil
}

// With adds objects and returns w itself.
func (w World) With(gr schema.GroupResource, objs ...runtime.Object) World {
	w[gr] = append(w[gr], objs...)
	return w
}
