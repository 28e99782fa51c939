package api

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/helper"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func replicationController() kind {
	return kind{
		name: "ReplicationController", plural: "replicationcontrollers",
		short:    []string{"rc"},
		category: "all",
		prefix:   "controllers",
		subs: []sub{
			scale(),
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(c, old *core.ReplicationController) { c.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateReplicationControllerStatusUpdate),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *core.ReplicationController) {
				c.Status = core.ReplicationControllerStatus{}
				c.Generation = 1
				podutil.DropDisabledTemplateFields(c.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *core.ReplicationController) {
				c.Status = old.Status
				podutil.DropDisabledTemplateFields(c.Spec.Template, old.Spec.Template)
				bump(c, old, c.Spec, old.Spec)
			}),
			Validate: valid(func(c *core.ReplicationController) field.ErrorList {
				return validation.ValidateReplicationController(c, podutil.GetValidationOptionsFromPodTemplate(c.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(validReplicationControllerUpdate),
			Warnings:       templateWarnings(func(c *core.ReplicationController) *core.PodTemplateSpec { return c.Spec.Template }, true),
			Orphaning:      OrphanDependents,
			ResetFields:    statusField,
		},
		fields: selectable(func(c *corev1.ReplicationController) map[string]string {
			return map[string]string{"status.replicas": strconv.Itoa(int(c.Status.Replicas))}
		}),
		wire:    &wireMap{leaves: []wireLeaf{integer("status.replicas", 3, 1)}},
		columns: table("Name", "Desired#", "Current#", "Ready#", "Age", "Containers+", "Images+", "Selector+"),
		row: typed(func(c *corev1.ReplicationController, now time.Time) []any {
			var containers []corev1.Container
			if c.Spec.Template != nil {
				containers = c.Spec.Template.Spec.Containers
			}
			names, images := containerCells(containers)
			return []any{
				c.Name, int64(deref(c.Spec.Replicas)), int64(c.Status.Replicas), int64(c.Status.ReadyReplicas),
				age(c.CreationTimestamp, now), names, images, labelsCell(c.Spec.Selector),
			}
		}),
	}
}

// validReplicationControllerUpdate also keeps what an older version of the kind could say and this one cannot.
func validReplicationControllerUpdate(c, old *core.ReplicationController) field.ErrorList {
	errs := validation.ValidateReplicationControllerUpdate(c, old, podutil.GetValidationOptionsFromPodTemplate(c.Spec.Template, old.Spec.Template))
	for key, value := range helper.NonConvertibleFields(old.Annotations) {
		_, name, ok := strings.Cut(key, "/")
		switch {
		case !ok || strings.Contains(name, "/"):
		case !strings.Contains(name, "selector"):
			errs = append(errs, &field.Error{Type: field.ErrorTypeNotFound, BadValue: value, Field: name, Detail: "unknown non-convertible field"})
		case !sameValue(old.Spec.Selector, c.Spec.Selector):
			errs = append(errs, field.Invalid(field.NewPath("spec").Child("selector"), c.Spec.Selector, "cannot update non-convertible selector"))
		}
	}
	return errs
}
