package api

import (
	"context"

	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	storageutil "k8s.io/kubernetes/pkg/api/storage"
	"k8s.io/kubernetes/pkg/apis/storage"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func csiStorageCapacity() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSIStorageCapacity", plural: "csistoragecapacities",
		strategy: &Strategy{
			Validate: valid(func(c *storage.CSIStorageCapacity) field.ErrorList {
				return validation.ValidateCSIStorageCapacity(c, validation.CSIStorageCapacityValidateOptions{})
			}),
			ValidateUpdate: validUpdate(func(c, old *storage.CSIStorageCapacity) field.ErrorList {
				tolerate := len(metavalidation.ValidateLabelSelector(old.NodeTopology, metavalidation.LabelSelectorValidationOptions{}, nil)) > 0
				errs := validation.ValidateCSIStorageCapacity(c, validation.CSIStorageCapacityValidateOptions{AllowInvalidLabelValueInSelector: tolerate})
				return append(errs, validation.ValidateCSIStorageCapacityUpdate(c, old)...)
			}),
			Warnings: warn(func(_ context.Context, c, _ *storage.CSIStorageCapacity) []string {
				return storageutil.GetWarningsForCSIStorageCapacity(c)
			}),
			RequireResourceVersion: true,
		},
	}
}
