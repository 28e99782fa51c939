package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"
	rbacv1helpers "k8s.io/kubernetes/pkg/apis/rbac/v1"
)

// fullAuthority is what one must hold to say which other roles a role gathers.
var fullAuthority = []rbacv1.PolicyRule{
	{Verbs: all, APIGroups: all, Resources: all},
	{Verbs: all, NonResourceURLs: all},
}

// ConfirmNoEscalation returns an error that lists the missing rights where u does not hold all rules of role, a *Role or
// *ClusterRole, and may not "escalate" it. The caller turns it into Forbidden.
func (a *Authorizer) ConfirmNoEscalation(ctx context.Context, u user.Info, role runtime.Object) error {
	var rules []rbacv1.PolicyRule
	attrs := authorizer.AttributesRecord{User: u, Verb: "escalate", APIGroup: rbacv1.GroupName, APIVersion: "*", ResourceRequest: true}
	gathers := false
	switch r := role.(type) {
	case *rbacv1.Role:
		rules, attrs.Resource, attrs.Namespace, attrs.Name = r.Rules, "roles", r.Namespace, r.Name
	case *rbacv1.ClusterRole:
		rules, attrs.Resource, attrs.Name = r.Rules, "clusterroles", r.Name
		gathers = r.AggregationRule != nil && len(r.AggregationRule.ClusterRoleSelectors) > 0
	default:
		return fmt.Errorf("escalation check: %T is no role", role)
	}
	if a.privileged(ctx, attrs) {
		return nil
	}
	if err := a.covers(u, attrs.Namespace, rules); err != nil {
		return err
	}
	if gathers && a.covers(u, "", fullAuthority) != nil {
		return errors.New("must have cluster-admin privileges to use the aggregationRule")
	}
	return nil
}

// ConfirmBind does the same for a *RoleBinding or *ClusterRoleBinding: u must hold the role's rules or may "bind" it.
func (a *Authorizer) ConfirmBind(ctx context.Context, u user.Info, binding runtime.Object) error {
	var ref rbacv1.RoleRef
	attrs := authorizer.AttributesRecord{User: u, Verb: "bind", APIVersion: "*", ResourceRequest: true}
	switch b := binding.(type) {
	case *rbacv1.RoleBinding:
		ref, attrs.Namespace = b.RoleRef, b.Namespace
	case *rbacv1.ClusterRoleBinding:
		ref = b.RoleRef
	default:
		return fmt.Errorf("escalation check: %T is no binding", binding)
	}
	attrs.APIGroup, attrs.Name = ref.APIGroup, ref.Name
	attrs.Resource = map[string]string{"ClusterRole": "clusterroles", "Role": "roles"}[ref.Kind]
	if a.privileged(ctx, attrs) {
		return nil
	}
	if a.c.CaughtUp != nil {
		if err := a.c.CaughtUp(ctx); err != nil {
			return err
		}
	}
	a.rbac.mu.RLock()
	rules, err := a.rbac.rulesOf(ref, attrs.Namespace)
	a.rbac.mu.RUnlock()
	if err != nil {
		return err
	}
	return a.covers(u, attrs.Namespace, rules)
}

// privileged says whether attrs, an "escalate" or "bind", is allowed outright.
func (a *Authorizer) privileged(ctx context.Context, attrs authorizer.AttributesRecord) bool {
	if slices.Contains(attrs.User.GetGroups(), user.SystemPrivilegedGroup) {
		return true
	}
	if attrs.Resource == "" {
		return false
	}
	decision, _, _ := a.Authorize(ctx, attrs)
	return decision == authorizer.DecisionAllow
}

// covers says whether u holds rules in namespace, and if not, which are missing.
func (a *Authorizer) covers(u user.Info, namespace string, rules []rbacv1.PolicyRule) error {
	own, resolution := a.rbac.rulesFor(u, namespace)
	ok, missing := validation.Covers(own, rules)
	if ok {
		return nil
	}
	var lines []string
	for _, m := range compactRules(missing) {
		lines = append(lines, rbacv1helpers.CompactString(m))
	}
	slices.Sort(lines)
	msg := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", u.GetName(), u.GetGroups(), strings.Join(slices.Compact(lines), "\n"))
	if resolution != nil {
		msg += fmt.Sprintf("; resolution errors: %v", resolution)
	}
	return errors.New(msg)
}

// compactRules joins rules that differ only in their one verb.
func compactRules(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	type key struct{ group, resource, name, path string }
	first := func(s []string) string {
		if len(s) == 0 {
			return ""
		}
		return s[0]
	}
	at := map[key]int{}
	var out []rbacv1.PolicyRule
	for _, r := range rules {
		k := key{first(r.APIGroups), first(r.Resources), first(r.ResourceNames), first(r.NonResourceURLs)}
		if i, ok := at[k]; ok {
			out[i].Verbs = append(slices.Clone(out[i].Verbs), r.Verbs...)
			continue
		}
		at[k] = len(out)
		out = append(out, r)
	}
	return out
}
