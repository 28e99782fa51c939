package admission

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// How long to wait for a namespace that has just been made.
const namespaceWait = 50 * time.Millisecond

// namespaceLifecycle keeps objects out of namespaces that are not there or are going, and the first namespaces from going.
var namespaceLifecycle = plugin{
	name: "NamespaceLifecycle",
	handles: func(op Operation, gr schema.GroupResource, _ string) bool {
		return op == Create || op == Delete && gr == namespaces
	},
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		if a.Resource.GroupResource() == namespaces {
			return keepFirst(a)
		}
		if a.Namespace == "" || a.Resource.GroupResource() == (schema.GroupResource{Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews"}) {
			return nil
		}
		ns, err := await[*corev1.Namespace](ctx, c.Objects, namespaces, "", a.Namespace, namespaceWait)
		if err != nil {
			return err
		}
		if ns.Status.Phase != corev1.NamespaceTerminating {
			return nil
		}
		refusal := a.forbid("unable to create new content in namespace %s because it is being terminated", a.Namespace)
		refusal.ErrStatus.Details.Causes = append(refusal.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause,
			Message: "namespace " + a.Namespace + " is being terminated", Field: "metadata.namespace"})
		return refusal
	},
}

func keepFirst(a *Attributes) error {
	if a.Operation != Delete || a.Subresource != "" {
		return nil
	}
	switch a.Name {
	case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
		return apierrors.NewForbidden(namespaces, a.Name, errImmortal)
	}
	return nil
}
