package apiserver

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/api"
)

// A namespace has a second list of finalizers, in its spec, that the namespace controller empties through the subresource
// finalize when everything inside is gone:
//
//	Active --delete--> Terminating (deletionTimestamp, phase) --finalize--> gone

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
