package api

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func deviceClass() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "DeviceClass", plural: "deviceclasses",
		cluster: true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *resource.DeviceClass) { c.Generation = 1 }),
			PrepareForUpdate: prepareUpdate(func(c, old *resource.DeviceClass) { bump(c, old, c.Spec, old.Spec) }),
			Validate:         valid(validation.ValidateDeviceClass),
			ValidateUpdate:   validUpdate(validation.ValidateDeviceClassUpdate),
		},
		returnsDeleted: true,
		columns:        table("Name", "Age"),
		row: typed(func(c *resourcev1.DeviceClass, now time.Time) []any {
			return []any{c.Name, age(c.CreationTimestamp, now)}
		}),
	}
}
