package admission

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// nodeWritesPod: a kubelet makes mirror pods, and writes status, evicts and deletes what is bound to its node.
func nodeWritesPod(ctx context.Context, c *Config, a *Attributes, node string) error {
	switch a.Subresource + ":" + string(a.Operation) {
	case ":CREATE":
		return nodeMakesPod(ctx, c, a, node)
	case ":DELETE":
		return nodeHasPod(ctx, c, a, node, a.Name, "node %q can only delete pods with spec.nodeName set to itself")
	case "status:UPDATE":
		return nodeWritesPodStatus(a, node)
	case "eviction:CREATE":
		name := a.Name
		if e, ok := object[*policyv1.Eviction](a); ok && name == "" {
			name = e.Name
		}
		if name == "" {
			return a.forbid("could not determine pod from request data")
		}
		return nodeHasPod(ctx, c, a, node, name, "node %s can only evict pods with spec.nodeName set to itself")
	}
	switch a.Subresource {
	case "":
		return a.forbid("unexpected operation %q, node %q can only create and delete mirror pods", a.Operation, node)
	case "status", "eviction":
		return a.forbid("unexpected operation %q", a.Operation)
	}
	return a.forbid("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.Subresource)
}

func nodeHasPod(ctx context.Context, c *Config, a *Attributes, node, name, refusal string) error {
	pod, err := read[*corev1.Pod](ctx, c.Objects, pods, a.Namespace, name)
	if err != nil {
		return notFoundOr(a, err)
	}
	if pod.Spec.NodeName != node {
		return a.forbid(refusal, node)
	}
	return nil
}

func nodeMakesPod(ctx context.Context, c *Config, a *Attributes, node string) error {
	pod, ok := object[*corev1.Pod](a)
	switch {
	case !ok:
		return a.forbid("unexpected type %T", a.Object)
	case !isMirror(pod):
		return a.forbid("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	case pod.Spec.NodeName != node:
		return a.forbid("node %q can only create pods with spec.nodeName set to itself", node)
	case len(pod.OwnerReferences) > 1:
		return a.forbid("node %q can only create pods with a single owner reference set to itself", node)
	case len(pod.OwnerReferences) == 0:
		return a.forbid("node %q can only create pods with an owner reference set to itself", node)
	}
	owner := pod.OwnerReferences[0]
	switch {
	case owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != node:
		return a.forbid("node %q can only create pods with an owner reference set to itself", node)
	case owner.Controller == nil || !*owner.Controller:
		return a.forbid("node %q can only create pods with a controller owner reference set to itself", node)
	case owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion:
		return a.forbid("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	self, err := read[*corev1.Node](ctx, c.Objects, nodes, "", node)
	if err != nil {
		return notFoundOr(a, err)
	}
	if owner.UID != self.UID {
		return a.forbid("node %s UID mismatch: expected %s got %s", node, owner.UID, self.UID)
	}
	if what := refersTo(pod); what != "" {
		return a.forbid("node %q can not create pods that reference %s", node, what)
	}
	return nil
}

// refersTo names a kind of API object that pod refers to: a mirror pod may refer to none.
func refersTo(pod *corev1.Pod) string {
	switch {
	case pod.Spec.ServiceAccountName != "":
		return "serviceaccounts"
	case !podutil.VisitPodSecretNames(pod, func(string) bool { return false }):
		return "secrets"
	case !podutil.VisitPodConfigmapNames(pod, func(string) bool { return false }):
		return "configmaps"
	case len(pod.Spec.ResourceClaims) > 0:
		return "resourceclaims"
	}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil, v.Ephemeral != nil:
			return "persistentvolumeclaims"
		case v.CSI != nil:
			return "csidrivers"
		case v.Projected == nil:
			continue
		}
		for _, s := range v.Projected.Sources {
			switch {
			case s.ServiceAccountToken != nil:
				return "serviceaccounts"
			case s.ClusterTrustBundle != nil:
				return "clustertrustbundles"
			case s.PodCertificate != nil:
				return "podcertificates"
			}
		}
	}
	return ""
}

func nodeWritesPodStatus(a *Attributes, node string) error {
	now, ok := object[*corev1.Pod](a)
	was, okOld := old[*corev1.Pod](a)
	same := equality.Semantic.DeepEqual
	switch {
	case !ok || !okOld:
		return a.forbid("unexpected type %T", a.Object)
	case was.Spec.NodeName != node:
		return a.forbid("node %q can only update pod status for pods with spec.nodeName set to itself", node)
	case !maps.Equal(was.Labels, now.Labels):
		return a.forbid("node %q cannot update labels through pod status", node)
	case !same(was.Status.ResourceClaimStatuses, now.Status.ResourceClaimStatuses):
		return a.forbid("node %q cannot update resource claim statues", node)
	case !same(was.Status.ExtendedResourceClaimStatus, now.Status.ExtendedResourceClaimStatus):
		return a.forbid("node %q cannot update extended resource claim status", node)
	case !same(was.Status.NodeAllocatableResourceClaimStatuses, now.Status.NodeAllocatableResourceClaimStatuses):
		return a.forbid("node %q cannot update node allocatable resource claim statuses", node)
	}
	return nil
}

// nodeWritesNode: only its own, and neither taints nor the labels that steer pods to trusted nodes.
func nodeWritesNode(_ context.Context, _ *Config, a *Attributes, node string) error {
	if ownName(a) != node {
		return a.forbid("node %q is not allowed to modify node %q", node, ownName(a))
	}
	now, ok := object[*corev1.Node](a)
	if !ok {
		return nil
	}
	was, okOld := old[*corev1.Node](a)
	if a.Operation == Create || !okOld {
		if now.Spec.ConfigSource != nil {
			return a.forbid("node %q is not allowed to create pods with a non-nil configSource", node)
		}
		if bad := forbiddenLabels(now.Labels, nil); len(bad) > 0 {
			return a.forbid("node %q is not allowed to set the following labels: %s", node, strings.Join(bad, ", "))
		}
		return nil
	}
	same := equality.Semantic.DeepEqual
	switch {
	case now.Spec.ConfigSource != nil && !same(now.Spec.ConfigSource, was.Spec.ConfigSource):
		return a.forbid("node %q is not allowed to update configSource to a new non-nil configSource", node)
	case !same(now.Spec.Taints, was.Spec.Taints):
		return a.forbid("node %q is not allowed to modify taints", node)
	case !same(now.OwnerReferences, was.OwnerReferences):
		return a.forbid("node %q is not allowed to modify ownerReferences", node)
	}
	if bad := forbiddenLabels(now.Labels, was.Labels); len(bad) > 0 {
		return a.forbid("is not allowed to modify labels: %s", strings.Join(bad, ", "))
	}
	return nil
}

// forbiddenLabels are the labels that differ between the two and that a kubelet may not touch, sorted.
func forbiddenLabels(now, was map[string]string) (bad []string) {
	all := maps.Clone(was)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, now)
	for key := range all {
		n, inNow := now[key]
		w, inWas := was[key]
		if (n != w || inNow != inWas) && forbiddenLabel(key) {
			bad = append(bad, key)
		}
	}
	slices.Sort(bad)
	return bad
}

func forbiddenLabel(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return false
	}
	in := func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }
	if in("node-restriction.kubernetes.io") {
		return true
	}
	return (in("kubernetes.io") || in("k8s.io")) && !in("kubelet.kubernetes.io") && !in("node.kubernetes.io") && !slices.Contains(kubeletLabels, key)
}

// kubeletLabels are those of Kubernetes' own labels that a kubelet sets on its node.
var kubeletLabels = []string{
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, corev1.LabelOSStable, corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
}
