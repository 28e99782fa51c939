package api

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	pvutil "k8s.io/kubernetes/pkg/api/persistentvolume"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func persistentVolume() kind {
	return kind{
		name: "PersistentVolume", plural: "persistentvolumes",
		short:   []string{"pv"},
		cluster: true,
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: updateVolumeStatus,
				ValidateUpdate:   validUpdate(validation.ValidatePersistentVolumeStatusUpdate),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: func(r *Request, obj Object) {
				pv, now := obj.(*core.PersistentVolume), r.Now
				pv.Status = core.PersistentVolumeStatus{Phase: core.VolumePending, LastPhaseTransitionTime: &now}
				pvutil.DropDisabledSpecFields(&pv.Spec, nil)
			},
			PrepareForUpdate: prepareUpdate(func(pv, old *core.PersistentVolume) {
				pv.Status = old.Status
				pvutil.DropDisabledSpecFields(&pv.Spec, &old.Spec)
			}),
			Validate: valid(func(pv *core.PersistentVolume) field.ErrorList { return validVolume(pv, nil) }),
			ValidateUpdate: validUpdate(func(pv, old *core.PersistentVolume) field.ErrorList {
				return append(validVolume(pv, old), validation.ValidatePersistentVolumeUpdate(pv, old, validation.ValidationOptionsForPersistentVolume(pv, old))...)
			}),
			Warnings: warn(func(_ context.Context, pv, _ *core.PersistentVolume) []string {
				return pvutil.GetWarningsForPersistentVolume(pv)
			}),
			ResetFields: statusField,
		},
		returnsDeleted: true,
		columns:        table("Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass", "VolumeAttributesClass", "Reason", "Age", "VolumeMode+"),
		row:            typed(persistentVolumeRow),
	}
}

// updateVolumeStatus stamps a change of phase unless the writer did.
func updateVolumeStatus(r *Request, obj, was Object) {
	pv, old := obj.(*core.PersistentVolume), was.(*core.PersistentVolume)
	pv.Spec = old.Spec
	at := &pv.Status.LastPhaseTransitionTime
	samePhase := old.Status.Phase == pv.Status.Phase
	switch {
	case samePhase && *at == nil:
		*at = old.Status.LastPhaseTransitionTime
	case !samePhase && (*at == nil || (*at).Equal(old.Status.LastPhaseTransitionTime)):
		now := r.Now
		*at = &now
	}
}

func validVolume(pv, old *core.PersistentVolume) field.ErrorList {
	errs := validation.ValidatePersistentVolume(pv, validation.ValidationOptionsForPersistentVolume(pv, old))
	if _, asks := pv.Annotations[core.MountOptionAnnotation]; asks && !takesMountOptions(&pv.Spec) {
		path := field.NewPath("metadata").Child("annotations", core.MountOptionAnnotation)
		errs = append(errs, field.Forbidden(path, "may not specify mount options for this volume type"))
	}
	return errs
}

// takesMountOptions are the volume types that the mount options annotation works for.
func takesMountOptions(s *core.PersistentVolumeSpec) bool {
	return s.GCEPersistentDisk != nil || s.AWSElasticBlockStore != nil || s.Glusterfs != nil || s.NFS != nil || s.RBD != nil ||
		s.Quobyte != nil || s.ISCSI != nil || s.Cinder != nil || s.CephFS != nil || s.AzureFile != nil ||
		s.VsphereVolume != nil || s.AzureDisk != nil || s.PhotonPersistentDisk != nil
}

func persistentVolumeRow(pv *corev1.PersistentVolume, now time.Time) []any {
	claim := ""
	if c := pv.Spec.ClaimRef; c != nil {
		claim = c.Namespace + "/" + c.Name
	}
	phase := string(pv.Status.Phase)
	if pv.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	size := pv.Spec.Capacity[corev1.ResourceStorage]
	class := or(pv.Annotations[corev1.BetaStorageClassAnnotation], pv.Spec.StorageClassName)
	return []any{
		pv.Name, size.String(), accessModes(pv.Spec.AccessModes), string(pv.Spec.PersistentVolumeReclaimPolicy), phase, claim,
		class, orUnset(pv.Spec.VolumeAttributesClassName), pv.Status.Reason, age(pv.CreationTimestamp, now), orUnset(pv.Spec.VolumeMode),
	}
}
