package authz

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// rule allows verbs on resources of groups, both lists separated by one space.
func rule(groups, resources string, verbs ...string) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{APIGroups: strings.Split(groups, " "), Resources: strings.Split(resources, " "), Verbs: verbs}
	slices.Sort(r.APIGroups)
	slices.Sort(r.Resources)
	slices.Sort(r.Verbs)
	return r
}
