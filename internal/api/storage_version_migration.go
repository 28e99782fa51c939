package api

import (
	"time"

	storagemigrationv1beta1 "k8s.io/api/storagemigration/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/storagemigration"
	"k8s.io/kubernetes/pkg/apis/storagemigration/validation"
)

func storageVersionMigration() kind {
	return kind{
		group: "storagemigration.k8s.io",
		name:  "StorageVersionMigration", plural: "storageversionmigrations",
		storage: "v1beta1",
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(m, old *storagemigration.StorageVersionMigration) {
					m.Spec = old.Spec
					statusOnly(&m.ObjectMeta, &old.ObjectMeta)
				}),
				ValidateUpdate:         validUpdate(validation.ValidateStorageVersionMigrationStatusUpdate),
				RequireResourceVersion: true,
				ResetFields:            []string{"metadata", "spec"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(m *storagemigration.StorageVersionMigration) {
				m.Status = storagemigration.StorageVersionMigrationStatus{}
			}),
			PrepareForUpdate:       prepareUpdate(func(m, old *storagemigration.StorageVersionMigration) { m.Status = old.Status }),
			Validate:               valid(validation.ValidateStorageVersionMigration),
			ValidateUpdate:         validUpdate(validation.ValidateStorageVersionMigrationUpdate),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name=", "Resource", "Status"),
		row: typed(func(m *storagemigrationv1beta1.StorageVersionMigration, _ time.Time) []any {
			state := "Unknown"
			for _, c := range m.Status.Conditions {
				known := c.Type == string(storagemigrationv1beta1.MigrationRunning) || c.Type == string(storagemigrationv1beta1.MigrationFailed) ||
					c.Type == string(storagemigrationv1beta1.MigrationSucceeded)
				if known && c.Status == metav1.ConditionTrue {
					state = c.Type
				}
			}
			return []any{m.Name, m.Spec.Resource.String(), state}
		}),
	}
}
