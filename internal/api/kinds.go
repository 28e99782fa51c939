package api

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kinds lists every built-in kind, in the order of groupOrder and then by name.
func kinds() []kind {
	return []kind{
		// core
		binding(), componentStatus(), configMap(), endpoints(), event(), limitRange(), namespace(), node(), persistentVolumeClaim(),
		persistentVolume(), pod(), podTemplate(), replicationController(), resourceQuota(), secret(), serviceAccount(), service(),
		// apiregistration.k8s.io; apps
		apiService(),
		controllerRevision(), daemonSet(), deployment(), replicaSet(), statefulSet(),
		// authentication.k8s.io; authorization.k8s.io
		selfSubjectReview(), tokenReview(),
		localSubjectAccessReview(), selfSubjectAccessReview(), selfSubjectRulesReview(), subjectAccessReview(),
		// autoscaling; batch; certificates.k8s.io
		horizontalPodAutoscaler(),
		cronJob(), job(),
		certificateSigningRequest(), clusterTrustBundle(), podCertificateRequest(),
		// networking.k8s.io; policy; rbac.authorization.k8s.io
		ingressClass(), ingress(), ipAddress(), networkPolicy(), serviceCIDR(),
		podDisruptionBudget(),
		clusterRoleBinding(), clusterRole(), roleBinding(), role(),
		// storage.k8s.io
		csiDriver(), csiNode(), csiStorageCapacity(), storageClass(), volumeAttachment(), volumeAttributesClass(),
		// admissionregistration.k8s.io; apiextensions.k8s.io
		mutatingAdmissionPolicy(), mutatingAdmissionPolicyBinding(), mutatingWebhookConfiguration(),
		validatingAdmissionPolicy(), validatingAdmissionPolicyBinding(), validatingWebhookConfiguration(),
		customResourceDefinition(),
		// scheduling.k8s.io; coordination.k8s.io; node.k8s.io; discovery.k8s.io
		priorityClass(), lease(), runtimeClass(), endpointSlice(),
		// resource.k8s.io; flowcontrol.apiserver.k8s.io; storagemigration.k8s.io
		deviceClass(), deviceTaintRule(), resourceClaim(), resourceClaimTemplate(), resourceSlice(),
		flowSchema(), priorityLevelConfiguration(),
		storageVersionMigration(),
	}
}

type registry struct {
	list []*Resource
	by   map[schema.GroupVersionResource]*Resource
	kind map[schema.GroupVersionKind]*Resource
}

var (
	buildOnce  sync.Once
	registered registry
)

// built is the registry, made on first use.
func built() *registry {
	buildOnce.Do(func() { registered = build() })
	return &registered
}

func build() registry {
	r := registry{by: map[schema.GroupVersionResource]*Resource{}, kind: map[schema.GroupVersionKind]*Resource{}}
	for _, k := range kinds() {
		r.add(k.resources()...)
	}
	r.add(eventsOfOwnGroup(r.by[schema.GroupVersionResource{Version: "v1", Resource: "events"}]))
	return r
}

func (r *registry) add(list ...*Resource) {
	for _, x := range list {
		r.list = append(r.list, x)
		r.by[x.GVR()] = x
		r.kind[x.GVK()] = x
	}
}

// All are the served resources. The slice and what it points to are shared: do not change them.
func All() []*Resource { return built().list }

// Find returns the served resource gvr, nil if there is none.
func Find(gvr schema.GroupVersionResource) *Resource { return built().by[gvr] }

// FindKind returns the served resource of a kind, nil if there is none.
func FindKind(gvk schema.GroupVersionKind) *Resource { return built().kind[gvk] }

// Stored returns the stored kinds, once each: for a kind served in several versions, that of the preferred version. It
// is the list of what a store or a cache holds. events.k8s.io/v1 is the same stored kind as core/v1 events.
func Stored() []*Resource {
	var out []*Resource
	seen := map[string]bool{}
	for _, r := range All() {
		if r.Stored() && !seen[r.Prefix] {
			seen[r.Prefix] = true
			out = append(out, r)
		}
	}
	return out
}

func lower(s string) string { return strings.ToLower(s) }
