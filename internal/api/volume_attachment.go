package api

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/kubernetes/pkg/apis/storage"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func volumeAttachment() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "VolumeAttachment", plural: "volumeattachments",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate:       prepareUpdate(updateAttachmentStatus),
				ValidateUpdate:         validUpdate(validation.ValidateVolumeAttachmentUpdate),
				RequireResourceVersion: true,
				ResetFields:            []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate:       prepare(func(a *storage.VolumeAttachment) { a.Status = storage.VolumeAttachmentStatus{} }),
			PrepareForUpdate:       prepareUpdate(func(a, old *storage.VolumeAttachment) { a.Status = old.Status }),
			Validate:               valid(validation.ValidateVolumeAttachment),
			ValidateUpdate:         validUpdate(validation.ValidateVolumeAttachmentUpdate),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "Attacher!", "PV", "Node", "Attached?", "Age"),
		row: typed(func(a *storagev1.VolumeAttachment, now time.Time) []any {
			return []any{a.Name, a.Spec.Attacher, deref(a.Spec.Source.PersistentVolumeName), a.Spec.NodeName, a.Status.Attached, age(a.CreationTimestamp, now)}
		}),
	}
}

func updateAttachmentStatus(a, old *storage.VolumeAttachment) {
	a.Spec = old.Spec
	statusOnly(&a.ObjectMeta, &old.ObjectMeta)
	if gate("MutableCSINodeAllocatableCount") {
		return
	}
	dropErrorCode(a.Status.AttachError, old.Status.AttachError)
	dropErrorCode(a.Status.DetachError, old.Status.DetachError)
}

func dropErrorCode(e, old *storage.VolumeError) {
	if e != nil && (old == nil || old.ErrorCode == nil) {
		e.ErrorCode = nil
	}
}
