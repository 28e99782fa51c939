package api

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	pvcutil "k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func persistentVolumeClaim() kind {
	return kind{
		name: "PersistentVolumeClaim", plural: "persistentvolumeclaims",
		short: []string{"pvc"},
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(c, old *core.PersistentVolumeClaim) {
					c.Spec = old.Spec
					pvcutil.DropDisabledFieldsFromStatus(c, old)
				}),
				ValidateUpdate: validUpdate(func(c, old *core.PersistentVolumeClaim) field.ErrorList {
					return validation.ValidatePersistentVolumeClaimStatusUpdate(c, old, validation.ValidationOptionsForPersistentVolumeClaim(c, old))
				}),
				Warnings:    warn(claimWarnings),
				ResetFields: specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *core.PersistentVolumeClaim) {
				c.Status = core.PersistentVolumeClaimStatus{}
				pvcutil.DropDisabledFields(&c.Spec, nil)
				pvcutil.EnforceDataSourceBackwardsCompatibility(&c.Spec, nil)
				pvcutil.NormalizeDataSources(&c.Spec)
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *core.PersistentVolumeClaim) {
				c.Status = old.Status
				pvcutil.DropDisabledFields(&c.Spec, &old.Spec)
				pvcutil.EnforceDataSourceBackwardsCompatibility(&c.Spec, &old.Spec)
				pvcutil.NormalizeDataSources(&c.Spec)
				pvcutil.NormalizeDataSources(&old.Spec)
			}),
			Validate: valid(func(c *core.PersistentVolumeClaim) field.ErrorList {
				return validation.ValidatePersistentVolumeClaim(c, validation.ValidationOptionsForPersistentVolumeClaim(c, nil))
			}),
			ValidateUpdate: validUpdate(func(c, old *core.PersistentVolumeClaim) field.ErrorList {
				return validation.ValidatePersistentVolumeClaimUpdate(c, old, validation.ValidationOptionsForPersistentVolumeClaim(c, old))
			}),
			Warnings:    warn(claimWarnings),
			ResetFields: statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age", "VolumeMode+"),
		row:            typed(claimRow),
	}
}

func claimWarnings(_ context.Context, c, _ *core.PersistentVolumeClaim) []string {
	return pvcutil.GetWarningsForPersistentVolumeClaim(c)
}

func claimRow(c *corev1.PersistentVolumeClaim, now time.Time) []any {
	phase, capacity, modes := string(c.Status.Phase), "", ""
	if c.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	if c.Spec.VolumeName != "" {
		size := c.Status.Capacity[corev1.ResourceStorage]
		capacity, modes = size.String(), accessModes(c.Status.AccessModes)
	}
	class, annotated := c.Annotations[corev1.BetaStorageClassAnnotation]
	if !annotated {
		class = deref(c.Spec.StorageClassName)
	}
	return []any{
		c.Name, phase, c.Spec.VolumeName, capacity, modes, class, orUnset(c.Spec.VolumeAttributesClassName),
		age(c.CreationTimestamp, now), orUnset(c.Spec.VolumeMode),
	}
}
