package api

import (
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
)

func replicaSet() kind {
	return kind{
		group: "apps",
		name:  "ReplicaSet", plural: "replicasets",
		short:    []string{"rs"},
		category: "all",
		subs: []sub{
			scale(),
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(r, old *apps.ReplicaSet) {
					r.Spec = old.Spec
					if !gate("DeploymentReplicaSetTerminatingReplicas") && old.Status.TerminatingReplicas == nil {
						r.Status.TerminatingReplicas = nil
					}
				}),
				ValidateUpdate: validUpdate(validation.ValidateReplicaSetStatusUpdate),
				ResetFields:    specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(r *apps.ReplicaSet) {
				r.Status = apps.ReplicaSetStatus{}
				r.Generation = 1
				podutil.DropDisabledTemplateFields(&r.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(r, old *apps.ReplicaSet) {
				r.Status = old.Status
				podutil.DropDisabledTemplateFields(&r.Spec.Template, &old.Spec.Template)
				bump(r, old, r.Spec, old.Spec)
			}),
			Validate: valid(func(r *apps.ReplicaSet) field.ErrorList {
				return validation.ValidateReplicaSet(r, podutil.GetValidationOptionsFromPodTemplate(&r.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(func(r, old *apps.ReplicaSet) field.ErrorList {
				return validation.ValidateReplicaSetUpdate(r, old, podutil.GetValidationOptionsFromPodTemplate(&r.Spec.Template, &old.Spec.Template))
			}),
			Warnings:    templateWarnings(func(r *apps.ReplicaSet) *core.PodTemplateSpec { return &r.Spec.Template }, true),
			ResetFields: statusField,
		},
		fields: selectable(func(r *appsv1.ReplicaSet) map[string]string {
			return map[string]string{"status.replicas": strconv.Itoa(int(r.Status.Replicas))}
		}),
		wire:    &wireMap{leaves: []wireLeaf{integer("status.replicas", 3, 1)}},
		columns: table("Name", "Desired#", "Current#", "Ready#", "Age", "Containers+", "Images+", "Selector+"),
		row: typed(func(r *appsv1.ReplicaSet, now time.Time) []any {
			names, images := containerCells(r.Spec.Template.Spec.Containers)
			return []any{
				r.Name, int64(deref(r.Spec.Replicas)), int64(r.Status.Replicas), int64(r.Status.ReadyReplicas),
				age(r.CreationTimestamp, now), names, images, selectorCell(r.Spec.Selector),
			}
		}),
	}
}
