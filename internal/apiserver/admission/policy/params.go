package policy

import (
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
)

// params are the objects that a binding hands to its policy, each of which is an evaluation of its own. Without any to be handed
// over there is one evaluation, with nil.
func (w *write) params(kind *admissionregistrationv1.ParamKind, ref *admissionregistrationv1.ParamRef) ([]runtime.Object, error) {
	if kind == nil {
		return []runtime.Object{nil}, nil
	}
	gvk := schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind)
	r := api.FindKind(gvk)
	switch {
	case r == nil || !r.Stored():
		return nil, fmt.Errorf("failed to find resource referenced by paramKind: '%v'", gvk)
	case ref == nil:
		return []runtime.Object{nil}, nil
	case ref.Namespace != "" && !r.Namespaced:
		return nil, errors.New("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
	}
	namespace := ""
	if r.Namespaced {
		if namespace = ref.Namespace; namespace == "" {
			namespace = w.GetNamespace()
		}
		if namespace == "" {
			return nil, errors.New("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
		}
	}
	found, err := w.pointedAt(r.GroupResource(), namespace, ref)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && ref.ParameterNotFoundAction != nil && *ref.ParameterNotFoundAction == admissionregistrationv1.DenyAction {
		return nil, errors.New("no params found for policy binding with `Deny` parameterNotFoundAction")
	}
	for i, o := range found {
		if found[i], err = api.Convert(o.DeepCopyObject(), gvk.GroupVersion()); err != nil {
			return nil, err
		}
		found[i].GetObjectKind().SetGroupVersionKind(gvk)
	}
	return found, nil
}

func (w *write) pointedAt(gr schema.GroupResource, namespace string, ref *admissionregistrationv1.ParamRef) (out []runtime.Object, err error) {
	if ref.Name != "" {
		o, err := w.e.objects.Get(w.ctx, gr, namespace, ref.Name)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return []runtime.Object{o}, err
	}
	sel, err := metav1.LabelSelectorAsSelector(ref.Selector)
	if err != nil {
		return nil, err
	}
	all, err := w.e.objects.List(w.ctx, gr, namespace)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if m, err := meta.Accessor(o); err == nil && sel.Matches(labels.Set(m.GetLabels())) {
			out = append(out, o)
		}
	}
	return out, nil
}
