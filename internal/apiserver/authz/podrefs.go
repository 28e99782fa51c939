package authz

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/kubernetes/pkg/api/v1/persistentvolume"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// podRefs lists what the node of pod p may read because of p. A mirror pod, which the node itself writes, gives nothing.
func podRefs(p *corev1.Pod) []thing {
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return nil
	}
	var refs []thing
	add := func(resource, name string) {
		if name != "" {
			refs = append(refs, thing{resource, p.Namespace, name})
		}
	}
	add("serviceaccounts", p.Spec.ServiceAccountName)
	podutil.VisitPodSecretNames(p, func(name string) bool { add("secrets", name); return true })
	podutil.VisitPodConfigmapNames(p, func(name string) bool { add("configmaps", name); return true })
	for _, v := range p.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			add("persistentvolumeclaims", v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			add("persistentvolumeclaims", p.Name+"-"+v.Name)
		}
	}
	for _, name := range podClaims(p) {
		add("resourceclaims", name)
	}
	return refs
}

// podClaims names the ResourceClaims that p uses or that were made for it.
func podClaims(p *corev1.Pod) (names []string) {
	for _, c := range p.Spec.ResourceClaims {
		if c.ResourceClaimName != nil {
			names = append(names, *c.ResourceClaimName)
		}
	}
	for _, s := range p.Status.ResourceClaimStatuses {
		if s.ResourceClaimName != nil {
			names = append(names, *s.ResourceClaimName)
		}
	}
	if x := p.Status.ExtendedResourceClaimStatus; x != nil {
		names = append(names, x.ResourceClaimName)
	}
	return names
}

// sameRefs says whether an update of a pod leaves its node and references as they were, which nearly all do.
func sameRefs(old, new *corev1.Pod) bool {
	return old.Spec.NodeName == new.Spec.NodeName && old.UID == new.UID &&
		len(old.Spec.EphemeralContainers) == len(new.Spec.EphemeralContainers) &&
		equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, new.Status.ResourceClaimStatuses) &&
		equality.Semantic.DeepEqual(old.Status.ExtendedResourceClaimStatus, new.Status.ExtendedResourceClaimStatus)
}

// volumeSecrets lists the secrets that a node needs to mount v.
func volumeSecrets(v *corev1.PersistentVolume) (refs []thing) {
	persistentvolume.VisitPVSecretNames(v, func(namespace, name string, kubeletVisible bool) bool {
		if kubeletVisible {
			refs = append(refs, thing{"secrets", namespace, name})
		}
		return true
	})
	return refs
}
