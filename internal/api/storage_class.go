package api

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	storageutil "k8s.io/kubernetes/pkg/api/storage"
	"k8s.io/kubernetes/pkg/apis/storage"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func storageClass() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "StorageClass", plural: "storageclasses",
		short:   []string{"sc"},
		cluster: true,
		strategy: &Strategy{
			Validate:       valid(validation.ValidateStorageClass),
			ValidateUpdate: validBoth(validation.ValidateStorageClass, validation.ValidateStorageClassUpdate),
			Warnings: warn(func(_ context.Context, c, _ *storage.StorageClass) []string {
				return storageutil.GetWarningsForStorageClass(c)
			}),
		},
		returnsDeleted: true,
		columns:        table("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
		row: typed(func(c *storagev1.StorageClass, now time.Time) []any {
			name := c.Name
			if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
				name += " (default)"
			}
			reclaim := orElse(c.ReclaimPolicy, string(corev1.PersistentVolumeReclaimDelete))
			mode := orElse(c.VolumeBindingMode, string(storagev1.VolumeBindingImmediate))
			return []any{name, c.Provisioner, reclaim, mode, deref(c.AllowVolumeExpansion), age(c.CreationTimestamp, now)}
		}),
	}
}
