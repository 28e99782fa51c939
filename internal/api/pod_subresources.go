package api

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
)

// podStatus rules pods/status: the kubelet's reports.
func podStatus() *Strategy {
	return &Strategy{
		PrepareForUpdate: prepareUpdate(func(p, old *core.Pod) {
			p.Spec = old.Spec
			p.DeletionTimestamp = nil
			p.OwnerReferences = old.OwnerReferences
			keepPodStatus(&p.Status, &old.Status)
			podutil.DropDisabledPodFields(p, old)
		}),
		ValidateUpdate: podChange(corevalidation.ValidatePodStatusUpdate),
		Warnings:       warn(podStatusWarnings),
		ResetFields:    []string{"spec", "metadata.deletionTimestamp", "metadata.ownerReferences"},
	}
}

// keepPodStatus keeps what others than the writer own and clients that do not know it leave out.
func keepPodStatus(s, old *core.PodStatus) {
	if s.QOSClass == "" {
		s.QOSClass = old.QOSClass
	}
	if s.ResourceClaimStatuses == nil {
		s.ResourceClaimStatuses = old.ResourceClaimStatuses
	}
	if s.ExtendedResourceClaimStatus == nil {
		s.ExtendedResourceClaimStatus = old.ExtendedResourceClaimStatus
	}
	if s.NodeAllocatableResourceClaimStatuses == nil {
		s.NodeAllocatableResourceClaimStatuses = old.NodeAllocatableResourceClaimStatuses
	}
	if s.ObservedGeneration == 0 {
		s.ObservedGeneration = old.ObservedGeneration
	}
	keepConditionGenerations(s.Conditions, old.Conditions)
}

// keepConditionGenerations pairs the conditions of one type in order.
func keepConditionGenerations(list, old []core.PodCondition) {
	had := map[core.PodConditionType][]int64{}
	for _, c := range old {
		had[c.Type] = append(had[c.Type], c.ObservedGeneration)
	}
	for i := range list {
		c := &list[i]
		was := int64(0)
		if g := had[c.Type]; len(g) > 0 {
			was, had[c.Type] = g[0], g[1:]
		}
		if c.ObservedGeneration == 0 {
			c.ObservedGeneration = was
		}
	}
}

func podStatusWarnings(_ context.Context, p, _ *core.Pod) []string {
	var w []string
	for i, ip := range p.Status.PodIPs {
		w = append(w, validation.GetWarningsForIP(field.NewPath("status", "podIPs").Index(i).Child("ip"), ip.IP)...)
	}
	for i, ip := range p.Status.HostIPs {
		w = append(w, validation.GetWarningsForIP(field.NewPath("status", "hostIPs").Index(i).Child("ip"), ip.IP)...)
	}
	return w
}

// podEphemeral rules pods/ephemeralcontainers: only these containers change.
func podEphemeral() *Strategy {
	return &Strategy{
		PrepareForUpdate: prepareUpdate(func(p, old *core.Pod) {
			added := p.Spec.EphemeralContainers
			p.Spec, p.Status = old.Spec, old.Status
			statusOnly(&p.ObjectMeta, &old.ObjectMeta)
			p.Spec.EphemeralContainers = added
			podutil.DropDisabledPodFields(p, old)
			bump(p, old, p.Spec, old.Spec)
		}),
		ValidateUpdate: podChange(corevalidation.ValidatePodEphemeralContainersUpdate),
	}
}

// podResize rules pods/resize: only resources and resize policies change.
func podResize() *Strategy {
	return &Strategy{
		PrepareForUpdate: prepareUpdate(func(p, old *core.Pod) {
			onlyResize(p, old)
			keepPodResources(p, old)
			if gate("PodLevelResourcesFixDefaulting") && p.Spec.Resources != nil {
				podutil.DefaultPodLevelResources(p)
			}
			podutil.DropDisabledPodFields(p, old)
			bump(p, old, p.Spec, old.Spec)
		}),
		ValidateUpdate: podChange(corevalidation.ValidatePodResize),
	}
}

// onlyResize undoes all other changes; another number of containers is left for validation to refuse.
func onlyResize(p, old *core.Pod) {
	if len(p.Spec.Containers) != len(old.Spec.Containers) || len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return
	}
	spec := old.Spec
	spec.Containers = resized(p.Spec.Containers, old.Spec.Containers)
	spec.InitContainers = resized(p.Spec.InitContainers, old.Spec.InitContainers)
	if gate("InPlacePodLevelResourcesVerticalScaling") {
		spec.Resources = p.Spec.Resources
	}
	if gate("InPlacePodVerticalScalingMemoryBackedVolumes") {
		spec.Volumes = p.Spec.Volumes
	}
	p.Spec, p.Status = spec, old.Status
	statusOnly(&p.ObjectMeta, &old.ObjectMeta)
}

// resized are the old containers with the new resources, or the new ones unchanged if their names differ.
func resized(list, old []core.Container) []core.Container {
	if len(list) == 0 {
		return list
	}
	out := append([]core.Container(nil), old...)
	for i := range list {
		if out[i].Name != list[i].Name {
			return list
		}
		out[i].Resources, out[i].ResizePolicy = list[i].Resources, list[i].ResizePolicy
	}
	return out
}
