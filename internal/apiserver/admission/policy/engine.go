package policy

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/api"
)

// Objects reads the live state; what it returns is shared and not to be changed.
type Objects interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
	List(ctx context.Context, gr schema.GroupResource, namespace string) ([]runtime.Object, error)
}

// Engine evaluates the cluster's policies.
type Engine struct {
	objects    Objects
	authorizer authorizer.UnconditionalAuthorizer
	checks     programs[*admissionregistrationv1.ValidatingAdmissionPolicy]
	changes    programs[*admissionregistrationv1.MutatingAdmissionPolicy]
}

// New returns an engine. The authorizer answers the expressions that ask it.
func New(o Objects, a authorizer.UnconditionalAuthorizer) *Engine {
	return &Engine{objects: o, authorizer: a}
}

var (
	validatingPolicies = admissionregistrationv1.Resource("validatingadmissionpolicies")
	validatingBindings = admissionregistrationv1.Resource("validatingadmissionpolicybindings")
	mutatingPolicies   = admissionregistrationv1.Resource("mutatingadmissionpolicies")
	mutatingBindings   = admissionregistrationv1.Resource("mutatingadmissionpolicybindings")
)

// exempt are the kinds that no policy is asked about: what configures admission, so that nobody locks himself out, and
// questions, which store nothing.
func exempt(gr schema.GroupResource) bool {
	switch gr.Group {
	case admissionregistrationv1.GroupName:
		return true
	case "authentication.k8s.io":
		return gr.Resource == "tokenreviews" || gr.Resource == "selfsubjectreviews"
	case "authorization.k8s.io":
		return true
	}
	return false
}

// listed returns the objects of a kind as T.
func listed[T runtime.Object](ctx context.Context, o Objects, gr schema.GroupResource) (out []T, err error) {
	objs, err := o.List(ctx, gr, "")
	if err != nil {
		return nil, err
	}
	for _, obj := range objs {
		t, ok := obj.(T)
		if !ok {
			return nil, apierrors.NewInternalError(fmt.Errorf("%s: stored as %T", gr, obj))
		}
		out = append(out, t)
	}
	return out, nil
}

// write is one write while it is looked at.
type write struct {
	admission.Attributes
	e         *Engine
	ctx       context.Context //nolint:containedctx // lives no longer than the call
	versions  map[schema.GroupVersionKind]*admission.VersionedAttributes
	namespace *corev1.Namespace
}

// space is the namespace that the object is in, nil for what is in none.
func (w *write) space() (*corev1.Namespace, error) {
	if w.namespace != nil || w.GetNamespace() == "" || w.GetKind().GroupKind() == (schema.GroupKind{Kind: "Namespace"}) {
		return w.namespace, nil
	}
	o, err := w.e.objects.Get(w.ctx, corev1.Resource("namespaces"), "", w.GetNamespace())
	if err != nil {
		return nil, err
	}
	w.namespace, _ = o.(*corev1.Namespace)
	return w.namespace, nil
}

// as is the write with its objects in another version of their kind.
func (w *write) as(kind schema.GroupVersionKind) (*admission.VersionedAttributes, error) {
	if v := w.versions[kind]; v != nil {
		return v, nil
	}
	v := &admission.VersionedAttributes{Attributes: w.Attributes, VersionedKind: kind}
	for _, side := range []struct {
		from runtime.Object
		to   *admission.LazyObject
	}{{w.GetObject(), &v.VersionedObject}, {w.GetOldObject(), &v.VersionedOldObject}} {
		if side.from == nil {
			continue
		}
		obj, err := api.Convert(side.from.DeepCopyObject(), kind.GroupVersion())
		if err != nil {
			return nil, fmt.Errorf("failed to convert object version: %w", err)
		}
		obj.GetObjectKind().SetGroupVersionKind(kind)
		side.to.Set(obj)
	}
	w.versions[kind] = v
	return v, nil
}
