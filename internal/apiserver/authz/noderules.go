package authz

import rbacv1 "k8s.io/api/rbac/v1"

// nodeRules are what every kubelet may do, whatever runs on its node. They are upstream's ClusterRole system:node, which
// a test compares.
var nodeRules = []rbacv1.PolicyRule{
	rule("authentication.k8s.io", "tokenreviews", "create"),
	rule("authorization.k8s.io", "subjectaccessreviews localsubjectaccessreviews", "create"),
	rule("", "services", "get", "list", "watch"),
	rule("", "nodes", "create", "get", "list", "watch"),
	rule("", "nodes/status", "update", "patch"),
	rule("", "nodes", "update", "patch"),
	rule(" events.k8s.io", "events", "create", "update", "patch"),
	rule("", "pods", "get", "list", "watch"),
	rule("", "pods", "create", "delete"),
	rule("", "pods/status", "update", "patch"),
	rule("", "pods/eviction", "create"),
	rule("", "secrets configmaps", "get", "list", "watch"),
	rule("", "persistentvolumeclaims persistentvolumes", "get"),
	rule("", "endpoints", "get"),
	rule("certificates.k8s.io", "certificatesigningrequests", "create", "get", "list", "watch"),
	rule("coordination.k8s.io", "leases", "get", "create", "update", "patch", "delete"),
	rule("storage.k8s.io", "volumeattachments", "get"),
	rule("", "serviceaccounts/token", "create"),
	rule("", "persistentvolumeclaims/status", "get", "update", "patch"),
	rule("storage.k8s.io", "csidrivers", "get", "watch", "list"),
	rule("storage.k8s.io", "csinodes", "get", "create", "update", "patch", "delete"),
	rule("node.k8s.io", "runtimeclasses", "get", "list", "watch"),
	rule("resource.k8s.io", "resourceclaims", "get"),
	rule("resource.k8s.io", "resourceslices", "deletecollection"),
	rule("certificates.k8s.io", "clustertrustbundles", "get", "list", "watch"),
	rule("", "serviceaccounts", "get"),
	rule("certificates.k8s.io", "podcertificaterequests", "create", "get", "list", "watch"),
}
