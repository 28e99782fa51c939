package api

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// A namespace is Active until it is deleted, then Terminating until its finalizers are gone:
//
//	create -> Active -> delete: deletionTimestamp, Terminating -> finalize: no finalizers left -> removed
func namespace() kind {
	return kind{
		name: "Namespace", plural: "namespaces",
		short:   []string{"ns"},
		cluster: true,
		verbs:   []string{"create", "delete", "get", "list", "patch", "update", "watch"},
		subs: []sub{
			{name: "finalize", verbs: []string{"update"}, strategy: &Strategy{
				PrepareForUpdate: prepareUpdate(func(n, old *core.Namespace) { n.Status = old.Status }),
				ValidateUpdate:   validUpdate(validation.ValidateNamespaceFinalizeUpdate),
				Canonicalize:     nameLabel,
				ResetFields:      statusField,
			}},
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(n, old *core.Namespace) { n.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateNamespaceStatusUpdate),
				Canonicalize:     nameLabel,
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(newNamespace),
			PrepareForUpdate: prepareUpdate(func(n, old *core.Namespace) {
				n.Spec.Finalizers = old.Spec.Finalizers
				n.Status = old.Status
			}),
			Validate:       valid(validation.ValidateNamespace),
			ValidateUpdate: validBoth(validation.ValidateNamespace, validation.ValidateNamespaceUpdate),
			Canonicalize:   nameLabel,
			ResetFields:    statusField,
		},
		returnsDeleted: true,
		fields: selectable(func(n *corev1.Namespace) map[string]string {
			return map[string]string{"status.phase": string(n.Status.Phase)}
		}),
		wire:    &wireMap{leaves: []wireLeaf{text("status.phase", 3, 1)}},
		columns: table("Name", "Status", "Age"),
		row: typed(func(n *corev1.Namespace, now time.Time) []any {
			return []any{n.Name, string(n.Status.Phase), age(n.CreationTimestamp, now)}
		}),
	}
}

func newNamespace(n *core.Namespace) {
	n.Status = core.NamespaceStatus{Phase: core.NamespaceActive}
	if !slices.Contains(n.Spec.Finalizers, core.FinalizerKubernetes) {
		n.Spec.Finalizers = append(n.Spec.Finalizers, core.FinalizerKubernetes)
	}
}

// nameLabel lets selectors find a namespace by its name.
func nameLabel(obj Object) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[corev1.LabelMetadataName] = obj.GetName()
	obj.SetLabels(labels)
}
