package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var storageClasses = storagev1.Resource("storageclasses")

// defaultStorageClass gives claims without a class the default one.
var defaultStorageClass = plugin{
	name:    "DefaultStorageClass",
	handles: on(claims, Create),
	admit: func(ctx context.Context, c *Config, a *Attributes) error {
		claim, ok := object[*corev1.PersistentVolumeClaim](a)
		if !ok {
			return nil
		}
		if _, set := claim.Annotations[corev1.BetaStorageClassAnnotation]; set || claim.Spec.StorageClassName != nil {
			return nil
		}
		classes, err := list[*storagev1.StorageClass](ctx, c.Objects, storageClasses, "")
		if err != nil {
			return a.forbidden(err)
		}
		var marked []*storagev1.StorageClass
		for _, class := range classes {
			if isDefault(class, "storageclass.kubernetes.io/is-default-class") || isDefault(class, "storageclass.beta.kubernetes.io/is-default-class") {
				marked = append(marked, class)
			}
		}
		if def, ok := newest(marked); ok {
			name := def.Name
			claim.Spec.StorageClassName = &name
		}
		return nil
	},
}

func isDefault(o metav1.Object, annotation string) bool {
	return o.GetAnnotations()[annotation] == "true"
}

// newest is the object that was made last; the first by name of several made at once.
func newest[T metav1.Object](objs []T) (best T, ok bool) {
	for i, o := range objs {
		created, than := o.GetCreationTimestamp(), best
		if i > 0 {
			t := than.GetCreationTimestamp()
			if created.Before(&t) || created.Equal(&t) && o.GetName() > than.GetName() {
				continue
			}
		}
		best, ok = o, true
	}
	return best, ok
}

var volumeAttributesClasses = storagev1.Resource("volumeattributesclasses")

// storageObjectInUseProtection marks volumes and claims so that they stay while something uses them.
var storageObjectInUseProtection = plugin{
	name: "StorageObjectInUseProtection",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return op == Create && sub == "" && (gr == claims || gr == volumes || gr == volumeAttributesClasses)
	},
	admit: func(_ context.Context, _ *Config, a *Attributes) error {
		m, ok := a.Object.(metav1.Object)
		if !ok {
			return nil
		}
		finalizer := map[schema.GroupResource]string{claims: "kubernetes.io/pvc-protection", volumes: "kubernetes.io/pv-protection",
			volumeAttributesClasses: "kubernetes.io/vac-protection"}[a.Resource.GroupResource()]
		if !slices.Contains(m.GetFinalizers(), finalizer) {
			m.SetFinalizers(append(m.GetFinalizers(), finalizer))
		}
		return nil
	},
}

// claimResize lets a claim grow only where it is bound and its class says that its volumes can.
var claimResize = plugin{
	name:    "PersistentVolumeClaimResize",
	handles: on(claims, Update),
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		claim, ok := object[*corev1.PersistentVolumeClaim](a)
		was, okOld := old[*corev1.PersistentVolumeClaim](a)
		if !ok || !okOld {
			return nil
		}
		size, before := claim.Spec.Resources.Requests[corev1.ResourceStorage], was.Spec.Resources.Requests[corev1.ResourceStorage]
		if size.Cmp(before) <= 0 {
			return nil
		}
		if was.Status.Phase != corev1.ClaimBound {
			return a.forbid("Only bound persistent volume claims can be expanded")
		}
		if name := claimClass(claim); name != "" && name == claimClass(was) {
			class, err := read[*storagev1.StorageClass](ctx, c.Objects, storageClasses, "", name)
			if err == nil && class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion {
				return nil
			}
		}
		return a.forbid("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
	},
}

func claimClass(c *corev1.PersistentVolumeClaim) string {
	if name, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return name
	}
	if c.Spec.StorageClassName != nil {
		return *c.Spec.StorageClassName
	}
	return ""
}
