package api

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	pvcutil "k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
)

func statefulSet() kind {
	return kind{
		group: "apps",
		name:  "StatefulSet", plural: "statefulsets",
		short:    []string{"sts"},
		category: "all",
		subs: []sub{
			scale(),
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(s, old *apps.StatefulSet) { s.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateStatefulSetStatusUpdate),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(s *apps.StatefulSet) {
				s.Status = apps.StatefulSetStatus{}
				s.Generation = 1
				dropStatefulSetFields(s, &apps.StatefulSet{})
				podutil.DropDisabledTemplateFields(&s.Spec.Template, nil)
			}),
			PrepareForUpdate: prepareUpdate(func(s, old *apps.StatefulSet) {
				s.Status = old.Status
				dropStatefulSetFields(s, old)
				podutil.DropDisabledTemplateFields(&s.Spec.Template, &old.Spec.Template)
				bump(s, old, s.Spec, old.Spec)
			}),
			Validate: valid(func(s *apps.StatefulSet) field.ErrorList {
				return validation.ValidateStatefulSet(s, validation.StatefulSetValidationOptions{
					AllowStatefulSetRecreateStrategy: gate("StatefulSetRecreateStrategy"),
				}, podutil.GetValidationOptionsFromPodTemplate(&s.Spec.Template, nil))
			}),
			ValidateUpdate: validUpdate(validStatefulSetUpdate),
			Warnings:       statefulSetWarnings,
			ResetFields:    statusField,
		},
		columns: table("Name", "Ready", "Age", "Containers+", "Images+"),
		row: typed(func(s *appsv1.StatefulSet, now time.Time) []any {
			names, images := containerCells(s.Spec.Template.Spec.Containers)
			return []any{s.Name, fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, deref(s.Spec.Replicas)), age(s.CreationTimestamp, now), names, images}
		}),
	}
}

func dropStatefulSetFields(s, old *apps.StatefulSet) {
	r, was := s.Spec.UpdateStrategy.RollingUpdate, old.Spec.UpdateStrategy.RollingUpdate
	if !gate("MaxUnavailableStatefulSet") && r != nil && (was == nil || was.MaxUnavailable == nil) {
		r.MaxUnavailable = nil
	}
}

// nameClaimTemplates shows kind and version of a StatefulSet's claims, as upstream's conversion does; etcd holds neither.
func nameClaimTemplates(obj Object) {
	s, ok := obj.(*appsv1.StatefulSet)
	if !ok {
		return
	}
	for i := range s.Spec.VolumeClaimTemplates {
		s.Spec.VolumeClaimTemplates[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	}
}

// validStatefulSetUpdate tolerates in immutable fields what was stored before.
func validStatefulSetUpdate(s, old *apps.StatefulSet) field.ErrorList {
	recreates := old.Spec.UpdateStrategy.Type == apps.RecreateStatefulSetStrategyType
	return validation.ValidateStatefulSetUpdate(s, old, validation.StatefulSetValidationOptions{
		AllowInvalidServiceName:          true,
		SkipValidateVolumeClaimTemplates: true,
		AllowStatefulSetRecreateStrategy: recreates || gate("StatefulSetRecreateStrategy"),
	}, podutil.GetValidationOptionsFromPodTemplate(&s.Spec.Template, &old.Spec.Template))
}

func statefulSetWarnings(ctx context.Context, obj, old Object) []string {
	w := templateWarnings(func(s *apps.StatefulSet) *core.PodTemplateSpec { return &s.Spec.Template }, false)(ctx, obj, old)
	s := obj.(*apps.StatefulSet)
	for i, c := range s.Spec.VolumeClaimTemplates {
		path := field.NewPath("spec", "volumeClaimTemplates").Index(i)
		if old != nil {
			path = path.Child("Spec")
		}
		w = append(w, pvcutil.GetWarningsForPersistentVolumeClaimSpec(path, c.Spec)...)
	}
	if n := s.Spec.RevisionHistoryLimit; n != nil && *n < 0 {
		w = append(w, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return w
}
