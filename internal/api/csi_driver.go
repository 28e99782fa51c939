package api

import (
	"context"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/kubernetes/pkg/apis/storage"
	"k8s.io/kubernetes/pkg/apis/storage/validation"
)

func csiDriver() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSIDriver", plural: "csidrivers",
		cluster: true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(d *storage.CSIDriver) { dropDriverFields(d, &storage.CSIDriver{}) }),
			PrepareForUpdate: prepareUpdate(func(d, old *storage.CSIDriver) {
				dropDriverFields(d, old)
				bump(d, old, d.Spec, old.Spec)
			}),
			Validate:               valid(validation.ValidateCSIDriver),
			ValidateUpdate:         validUpdate(validation.ValidateCSIDriverUpdate),
			Warnings:               warn(driverWarnings),
			RequireResourceVersion: true,
		},
		returnsDeleted: true,
		columns:        table("Name", "AttachRequired?", "PodInfoOnMount?", "StorageCapacity?", "TokenRequests", "RequiresRepublish?", "Modes", "Age"),
		row:            typed(driverRow),
	}
}

// dropDriverFields clears fields whose feature is off, unless they are in use.
func dropDriverFields(d, old *storage.CSIDriver) {
	if !gate("SELinuxMountReadWriteOncePod") && old.Spec.SELinuxMount == nil {
		d.Spec.SELinuxMount = nil
	}
	if !gate("MutableCSINodeAllocatableCount") && old.Spec.NodeAllocatableUpdatePeriodSeconds == nil {
		d.Spec.NodeAllocatableUpdatePeriodSeconds = nil
	}
	if !gate("CSIServiceAccountTokenSecrets") && old.Spec.ServiceAccountTokenInSecrets == nil {
		d.Spec.ServiceAccountTokenInSecrets = nil
	}
	if !gate("VolumeLimitScaling") && old.Spec.PreventPodSchedulingIfMissing == nil {
		d.Spec.PreventPodSchedulingIfMissing = nil
	}
}

func driverWarnings(_ context.Context, d, old *storage.CSIDriver) []string {
	same := old != nil && sameValue(old.Spec.TokenRequests, d.Spec.TokenRequests)
	if same || len(d.Spec.TokenRequests) == 0 || d.Spec.ServiceAccountTokenInSecrets != nil || !gate("CSIServiceAccountTokenSecrets") {
		return nil
	}
	return []string{"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"}
}

func driverRow(d *storagev1.CSIDriver, now time.Time) []any {
	attach := d.Spec.AttachRequired == nil || *d.Spec.AttachRequired
	tokens := "<unset>"
	if d.Spec.TokenRequests != nil {
		var audiences []string
		for _, t := range d.Spec.TokenRequests {
			audiences = append(audiences, t.Audience)
		}
		tokens = strings.Join(audiences, ",")
	}
	var modes []string
	for _, m := range d.Spec.VolumeLifecycleModes {
		modes = append(modes, string(m))
	}
	return []any{
		d.Name, attach, deref(d.Spec.PodInfoOnMount), deref(d.Spec.StorageCapacity), tokens,
		deref(d.Spec.RequiresRepublish), orNone(strings.Join(modes, ",")), age(d.CreationTimestamp, now),
	}
}
