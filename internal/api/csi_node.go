package api

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/kubernetes/pkg/apis/storage"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func csiNode() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSINode", plural: "csinodes",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(n, old *storage.CSINode) {
					n.Spec = old.Spec
					statusOnly(&n.ObjectMeta, &old.ObjectMeta)
					dropVolumeHealth(n, old)
				}),
				ValidateUpdate:         validUpdate(validation.ValidateCSINodeStatusUpdate),
				RequireResourceVersion: true,
				ResetFields:            []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(n *storage.CSINode) { n.Status = storage.CSINodeStatus{} }),
			PrepareForUpdate: prepareUpdate(func(n, old *storage.CSINode) {
				n.Status = old.Status
				dropVolumeHealth(n, old)
			}),
			Validate:               valid(validation.ValidateCSINode),
			ValidateUpdate:         validUpdate(validation.ValidateCSINodeUpdate),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "Drivers#", "Age"),
		row: typed(func(n *storagev1.CSINode, now time.Time) []any {
			return []any{n.Name, int64(len(n.Spec.Drivers)), age(n.CreationTimestamp, now)}
		}),
	}
}

func dropVolumeHealth(n, old *storage.CSINode) {
	if !gate("CSIVolumeHealth") && len(old.Status.StorageHealth) == 0 {
		n.Status.StorageHealth = nil
	}
}
