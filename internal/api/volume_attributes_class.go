package api

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func volumeAttributesClass() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "VolumeAttributesClass", plural: "volumeattributesclasses",
		short:   []string{"vac"},
		cluster: true,
		strategy: &Strategy{
			Validate:       valid(validation.ValidateVolumeAttributesClass),
			ValidateUpdate: validUpdate(validation.ValidateVolumeAttributesClassUpdate),
		},
		returnsDeleted: true,
		columns:        table("Name", "DriverName", "Age"),
		row: typed(func(c *storagev1.VolumeAttributesClass, now time.Time) []any {
			return []any{c.Name, c.DriverName, age(c.CreationTimestamp, now)}
		}),
	}
}
