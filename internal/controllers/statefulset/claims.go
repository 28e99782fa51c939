package statefulset

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// makeClaims makes the claims of pod n that are missing.
func (s *controller) makeClaims(ctx context.Context, set *appsv1.StatefulSet, n int) error {
	for _, t := range set.Spec.VolumeClaimTemplates {
		name := claimName(set, t.Name, n)
		if have, ok := s.claims.Get(set.Namespace, name); ok {
			if have.DeletionTimestamp != nil {
				return fmt.Errorf("claim %s is about to go", name)
			}
			continue
		}
		c := t.DeepCopy()
		c.ObjectMeta = metav1.ObjectMeta{Namespace: set.Namespace, Name: name, Labels: c.Labels, Annotations: c.Annotations, Finalizers: c.Finalizers}
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		for k, v := range set.Spec.Selector.MatchLabels {
			c.Labels[k] = v
		}
		c.Status = corev1.PersistentVolumeClaimStatus{}
		if retention(set).WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
			c.OwnerReferences = []metav1.OwnerReference{ofSet(set)}
		}
		got, err := client.Of(s.c, client.PersistentVolumeClaims).Create(ctx, c)
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("create claim %s: %w", name, err)
		}
		s.events.Event(set, corev1.EventTypeNormal, "SuccessfulCreate", "create Claim %s Pod %s in StatefulSet %s success", name, podName(set, n), set.Name)
		if err := s.claims.WaitFor(ctx, got.ResourceVersion); err != nil {
			return err
		}
	}
	return nil
}

// retention is what happens to claims, by default nothing.
func retention(set *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	keep := appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType}
	if r := set.Spec.PersistentVolumeClaimRetentionPolicy; r != nil {
		if r.WhenDeleted != "" {
			keep.WhenDeleted = r.WhenDeleted
		}
		if r.WhenScaled != "" {
			keep.WhenScaled = r.WhenScaled
		}
	}
	return keep
}

func ofSet(set *appsv1.StatefulSet) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet", Name: set.Name, UID: set.UID}
}

func ofPod(p *corev1.Pod) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID}
}

// retain makes the owners of claims say who takes them along: the set when it is deleted, a pod that is scaled away.
func (s *controller) retain(ctx context.Context, set *appsv1.StatefulSet, p plan) error {
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		return nil
	}
	policy := retention(set)
	for _, pod := range slices.Concat(p.kept, p.condemned) {
		withSet := policy.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
		withPod := policy.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType && slices.Contains(p.condemned, pod)
		for _, t := range set.Spec.VolumeClaimTemplates {
			c, ok := s.claims.Get(set.Namespace, claimName(set, t.Name, ordinal(set, pod)))
			if !ok {
				continue
			}
			owners := owned(owned(c.OwnerReferences, ofSet(set), withSet && !withPod), ofPod(pod), withPod)
			if equality.Semantic.DeepEqual(owners, c.OwnerReferences) {
				continue
			}
			changed := c.DeepCopy()
			changed.OwnerReferences = owners
			got, err := client.Of(s.c, client.PersistentVolumeClaims).Update(ctx, changed)
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("owners of claim %s: %w", c.Name, err)
			}
			if err := s.claims.WaitFor(ctx, got.ResourceVersion); err != nil {
				return err
			}
		}
	}
	return nil
}

// owned returns the references with ref in them, or without it.
func owned(refs []metav1.OwnerReference, ref metav1.OwnerReference, want bool) []metav1.OwnerReference {
	has := func(o metav1.OwnerReference) bool { return o.UID == ref.UID }
	switch {
	case want && !slices.ContainsFunc(refs, has):
		return append(slices.Clone(refs), ref)
	case !want && slices.ContainsFunc(refs, has):
		return slices.DeleteFunc(slices.Clone(refs), has)
	}
	return refs
}
