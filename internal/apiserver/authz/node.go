package authz

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// nodeOf returns the name of the node that u is the kubelet of.
func nodeOf(u user.Info) (name string, is bool) {
	const prefix = "system:node:"
	if u == nil || !strings.HasPrefix(u.GetName(), prefix) || !slices.Contains(u.GetGroups(), user.NodesGroup) {
		return "", false
	}
	return strings.TrimPrefix(u.GetName(), prefix), true
}

// allows decides what a kubelet may do. Kinds of which it may see only its own have a rule here; the others are in
// nodeRules. A reason without permission goes into the message of the denial.
func (g *graph) allows(node string, a authorizer.Attributes) (ok bool, reason string) {
	if node == "" {
		return false, fmt.Sprintf("unknown node for user %q", a.GetUser().GetName())
	}
	if a.IsResourceRequest() {
		switch a.GetAPIGroup() + "/" + a.GetResource() {
		case "/secrets", "/configmaps":
			return g.readsNamespaced(node, a)
		case "/persistentvolumeclaims":
			if a.GetSubresource() == "status" {
				return g.writesClaimStatus(node, a)
			}
			return g.gets(node, a)
		case "/persistentvolumes", "resource.k8s.io/resourceclaims", "storage.k8s.io/volumeattachments":
			return g.gets(node, a)
		case "/serviceaccounts":
			return g.usesAccount(node, a)
		case "coordination.k8s.io/leases":
			return ownLease(node, a)
		case "storage.k8s.io/csinodes":
			return ownCSINode(node, a)
		case "resource.k8s.io/resourceslices":
			return g.usesSlice(node, a)
		case "/nodes":
			return ownNode(node, a)
		case "/pods":
			return g.usesPod(node, a)
		case "certificates.k8s.io/podcertificaterequests":
			return g.requestsCertificate(node, a)
		}
	}
	for i := range nodeRules {
		if ruleAllows(a, &nodeRules[i]) {
			return true, ""
		}
	}
	return false, ""
}

// related says whether the named object belongs to node.
func (g *graph) related(node string, a authorizer.Attributes) (bool, string) {
	if a.GetName() == "" {
		return false, "No Object name found"
	}
	if !g.has(node, thing{a.GetResource(), a.GetNamespace(), a.GetName()}) {
		return false, fmt.Sprintf("no relationship found between node '%s' and this object", node)
	}
	return true, ""
}

func (g *graph) readsNamespaced(node string, a authorizer.Attributes) (bool, string) {
	switch {
	case !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()):
		return false, "can only read resources of this type"
	case a.GetSubresource() != "":
		return false, "cannot read subresource"
	case a.GetNamespace() == "":
		return false, "can only read namespaced object of this type"
	}
	return g.related(node, a)
}

func (g *graph) gets(node string, a authorizer.Attributes) (bool, string) {
	switch {
	case a.GetVerb() != "get":
		return false, "can only get individual resources of this type"
	case a.GetSubresource() != "":
		return false, "cannot get subresource"
	}
	return g.related(node, a)
}

func (g *graph) writesClaimStatus(node string, a authorizer.Attributes) (bool, string) {
	if a.GetVerb() != "update" && a.GetVerb() != "patch" {
		return false, "can only get/update/patch this type"
	}
	return g.related(node, a)
}

func (g *graph) usesAccount(node string, a authorizer.Attributes) (bool, string) {
	switch {
	case a.GetVerb() == "get" && a.GetSubresource() == "":
		return g.readsNamespaced(node, a)
	case a.GetVerb() != "create" || a.GetName() == "":
		return false, "can only create tokens for individual service accounts"
	case a.GetSubresource() != "token":
		return false, "can only create token subresource of serviceaccount"
	}
	return g.related(node, a)
}

// ownLease cannot see the name on create; the NodeRestriction admission plugin looks at it.
func ownLease(node string, a authorizer.Attributes) (bool, string) {
	const namespace = "kube-node-lease"
	switch {
	case !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.GetVerb()):
		return false, "can only get, create, update, patch, or delete a node lease"
	case a.GetNamespace() != namespace:
		return false, fmt.Sprintf("can only access leases in the %q system namespace", namespace)
	case a.GetVerb() != "create" && a.GetName() != node:
		return false, "can only access node lease with the same name as the requesting node"
	}
	return true, ""
}

func ownCSINode(node string, a authorizer.Attributes) (bool, string) {
	switch {
	case a.GetSubresource() == "status":
		return false, "CSINode status access requires CSIVolumeHealth feature"
	case a.GetSubresource() != "":
		return false, "cannot authorize CSINode subresources"
	case !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.GetVerb()):
		return false, "can only get, create, update, patch, or delete a CSINode"
	case a.GetVerb() != "create" && a.GetName() != node:
		return false, "can only access CSINode with the same name as the requesting node"
	}
	return true, ""
}

func (g *graph) usesSlice(node string, a authorizer.Attributes) (bool, string) {
	if a.GetSubresource() != "" {
		return false, "cannot authorize ResourceSlice subresources"
	}
	switch a.GetVerb() {
	case "create": // NodeRestriction looks at the new object
		return true, ""
	case "get", "update", "patch", "delete":
		return g.related(node, a)
	case "watch", "list", "deletecollection":
		if selects(a, "spec.nodeName", node) {
			return true, ""
		}
		return false, "can only list/watch/deletecollection resourceslices with nodeName field selector"
	}
	return false, "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection"
}

func (g *graph) requestsCertificate(node string, a authorizer.Attributes) (bool, string) {
	if a.GetSubresource() != "" {
		return false, "nodes may not access the status subresource of PodCertificateRequests"
	}
	switch a.GetVerb() {
	case "create":
		return true, ""
	case "get":
		return g.related(node, a)
	case "list", "watch":
		if selects(a, "spec.nodeName", node) {
			return true, ""
		}
		return false, "can only list/watch podcertificaterequests with nodeName field selector"
	}
	return false, fmt.Sprintf("nodes may not %s podcertificaterequests", a.GetVerb())
}

// ownNode compares names, so that a kubelet can look for its Node before it makes it.
func ownNode(node string, a authorizer.Attributes) (bool, string) {
	switch a.GetSubresource() + ":" + a.GetVerb() {
	case ":create", ":update", ":patch", "status:update", "status:patch": // NodeRestriction looks at the rest
		return true, ""
	case ":get", ":list", ":watch":
		switch a.GetName() {
		case node:
			return true, ""
		case "":
			return false, fmt.Sprintf("node '%s' cannot read all nodes, only its own Node object", node)
		}
		return false, fmt.Sprintf("node '%s' cannot read '%s', only its own Node object", node, a.GetName())
	}
	return false, ""
}

func (g *graph) usesPod(node string, a authorizer.Attributes) (bool, string) {
	switch a.GetSubresource() + ":" + a.GetVerb() {
	case ":get":
		return g.gets(node, a)
	case ":list", ":watch":
		if selects(a, "spec.nodeName", node) {
			return true, ""
		}
		if a.GetName() != "" {
			return g.related(node, a)
		}
		return false, "can only list/watch pods with spec.nodeName field selector"
	case ":create", ":delete", "status:update", "status:patch", "eviction:create": // NodeRestriction looks at the rest
		return true, ""
	}
	return false, ""
}

// selects says whether the request's field selector demands field = value.
func selects(a authorizer.Attributes, field, value string) bool {
	reqs, _ := a.GetFieldSelector()
	for _, r := range reqs {
		if r.Field == field && r.Operator == selection.Equals && r.Value == value {
			return true
		}
	}
	return false
}
