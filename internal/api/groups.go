package api

import "k8s.io/apimachinery/pkg/runtime/schema"

// Group is an API group as discovery lists it.
type Group struct {
	Name string // empty for the core group, served under /api
	// Versions that are served, the preferred one first.
	Versions []schema.GroupVersion
	// Priority and VersionPriority are those of the group's APIService objects: higher sorts first.
	Priority int32
}

// Preferred is the version that clients choose when they have no reason for another.
func (g Group) Preferred() schema.GroupVersion { return g.Versions[0] }

// groupOrder lists the served groups as discovery does, with upstream's priorities.
var groupOrder = []struct {
	name     string
	priority int32
	versions []string
}{
	{"", 18000, []string{"v1"}},
	{"apiregistration.k8s.io", 18000, []string{"v1"}},
	{"apps", 17800, []string{"v1"}},
	{"events.k8s.io", 17750, []string{"v1"}},
	{"authentication.k8s.io", 17700, []string{"v1"}},
	{"authorization.k8s.io", 17600, []string{"v1"}},
	{"autoscaling", 17500, []string{"v2", "v1"}},
	{"batch", 17400, []string{"v1"}},
	{"certificates.k8s.io", 17300, []string{"v1"}},
	{"networking.k8s.io", 17200, []string{"v1"}},
	{"policy", 17100, []string{"v1"}},
	{"rbac.authorization.k8s.io", 17000, []string{"v1"}},
	{"storage.k8s.io", 16800, []string{"v1"}},
	{"admissionregistration.k8s.io", 16700, []string{"v1"}},
	{"apiextensions.k8s.io", 16700, []string{"v1"}},
	{"scheduling.k8s.io", 16600, []string{"v1"}},
	{"coordination.k8s.io", 16500, []string{"v1"}},
	{"node.k8s.io", 16300, []string{"v1"}},
	{"discovery.k8s.io", 16200, []string{"v1"}},
	{"resource.k8s.io", 16200, []string{"v1"}},
	{"flowcontrol.apiserver.k8s.io", 16100, []string{"v1"}},
	{"storagemigration.k8s.io", 15800, []string{"v1"}},
}

// VersionPriority is the priority of gv within its group, as its APIService object has it.
func VersionPriority(gv schema.GroupVersion) int32 {
	switch {
	case gv.Group == "":
		return 1
	case gv == schema.GroupVersion{Group: "autoscaling", Version: "v2"}:
		return 30
	case gv.Group == "flowcontrol.apiserver.k8s.io", gv.Group == "resource.k8s.io":
		return 21
	}
	return 15
}

// Groups are the served groups in discovery's order.
func Groups() []Group {
	out := make([]Group, 0, len(groupOrder))
	for _, g := range groupOrder {
		group := Group{Name: g.name, Priority: g.priority}
		for _, v := range g.versions {
			group.Versions = append(group.Versions, schema.GroupVersion{Group: g.name, Version: v})
		}
		out = append(out, group)
	}
	return out
}
