package apiserver

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
)

// A namespace has a second list of finalizers, in its spec, that the namespace controller empties through the subresource
// finalize when everything inside is gone:
//
//	Active --delete--> Terminating (deletionTimestamp, phase) --finalize--> gone

var namespacesResource = schema.GroupResource{Resource: "namespaces"}

// namespaceMeets holds a namespace to preconditions, in words of its own.
func namespaceMeets(obj metav1.Object, p *metav1.Preconditions) error {
	conflict := func(what string, want, have any) error {
		return apierrors.NewConflict(namespacesResource, obj.GetName(), fmt.Errorf("Precondition failed: %s in precondition: %v, %s in object meta: %v", what, want, what, have))
	}
	if p != nil && p.UID != nil && *p.UID != obj.GetUID() {
		return conflict("UID", *p.UID, obj.GetUID())
	}
	if p != nil && p.ResourceVersion != nil && *p.ResourceVersion != obj.GetResourceVersion() {
		return conflict("ResourceVersion", *p.ResourceVersion, obj.GetResourceVersion())
	}
	return nil
}

// terminateNamespace marks a namespace that is to go, and says whether nothing holds it any more.
func (c *call) terminateNamespace(obj api.Object) (gone bool) {
	ns := obj.(*corev1.Namespace)
	if ns.DeletionTimestamp == nil {
		now := metav1.NewTime(c.s.cfg.Now().Truncate(time.Second))
		ns.DeletionTimestamp = &now
	}
	ns.Status.Phase = corev1.NamespaceTerminating
	if len(ns.Spec.Finalizers) > 0 {
		return false
	}
	return len(ns.Finalizers) == 0
}

// namespaceHeld says whether obj is a namespace that its spec still holds.
func namespaceHeld(obj metav1.Object) bool {
	ns, ok := obj.(*corev1.Namespace)
	return ok && len(ns.Spec.Finalizers) > 0
}
