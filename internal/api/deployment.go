package api

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
)

func deployment() kind {
	return kind{
		group: "apps",
		name:  "Deployment", plural: "deployments",
		short:    []string{"deploy"},
		category: "all",
		subs: []sub{
			scale(),
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(d, old *apps.Deployment) {
					d.Spec, d.Labels = old.Spec, old.Labels
					if !gate("DeploymentReplicaSetTerminatingReplicas") && old.Status.TerminatingReplicas == nil {
						d.Status.TerminatingReplicas = nil
					}
				}),
				ValidateUpdate: validUpdate(validation.ValidateDeploymentStatusUpdate),
				ResetFields:    []string{"spec", "metadata.labels"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(d *apps.Deployment) {
				d.Status = apps.DeploymentStatus{}
				d.Generation = 1
				podutil.DropDisabledTemplateFields(&d.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(d, old *apps.Deployment) {
				d.Status = old.Status
				podutil.DropDisabledTemplateFields(&d.Spec.Template, &old.Spec.Template)
				bump(d, old, d.Spec, old.Spec)
				bump(d, old, d.Annotations, old.Annotations) // they are copied to the replica sets
			}),
			Validate: valid(func(d *apps.Deployment) field.ErrorList {
				return validation.ValidateDeployment(d, podutil.GetValidationOptionsFromPodTemplate(&d.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(func(d, old *apps.Deployment) field.ErrorList {
				return validation.ValidateDeploymentUpdate(d, old, podutil.GetValidationOptionsFromPodTemplate(&d.Spec.Template, &old.Spec.Template))
			}),
			Warnings:    templateWarnings(func(d *apps.Deployment) *core.PodTemplateSpec { return &d.Spec.Template }, true),
			ResetFields: statusField,
		},
		columns: table("Name", "Ready", "Up-to-date", "Available", "Age", "Containers+", "Images+", "Selector+"),
		row: typed(func(d *appsv1.Deployment, now time.Time) []any {
			names, images := containerCells(d.Spec.Template.Spec.Containers)
			selector := "<invalid>"
			if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil {
				selector = s.String()
			}
			return []any{
				d.Name, fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, deref(d.Spec.Replicas)), int64(d.Status.UpdatedReplicas),
				int64(d.Status.AvailableReplicas), age(d.CreationTimestamp, now), names, images, selector,
			}
		}),
	}
}
