package bootstrap

import (
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Roles and bindings grow to what is wanted and never shrink: a newer release adds rights, users may add theirs. Who sets the
// annotation rbac.authorization.kubernetes.io/autoupdate to "false" keeps a role as it is.

func reviseClusterRole(have runtime.Object, want *rbacv1.ClusterRole) (Object, string) {
	r := have.(*rbacv1.ClusterRole).DeepCopy()
	if protected(r) {
		return nil, ""
	}
	changed := mergeMeta(r, want)
	if want.AggregationRule == nil && r.AggregationRule != nil {
		r.AggregationRule, changed = nil, true
	}
	if addSelectors(r, want.AggregationRule) {
		changed = true
	}
	if want.AggregationRule == nil && addRules(&r.Rules, want.Rules) { // an aggregated role's rules are its controller's
		changed = true
	}
	if !changed {
		return nil, ""
	}
	return r, ""
}

func reviseRole(have runtime.Object, want *rbacv1.Role) (Object, string) {
	r := have.(*rbacv1.Role).DeepCopy()
	if protected(r) {
		return nil, ""
	}
	if meta, rules := mergeMeta(r, want), addRules(&r.Rules, want.Rules); !meta && !rules {
		return nil, ""
	}
	return r, ""
}

func reviseClusterRoleBinding(have runtime.Object, want *rbacv1.ClusterRoleBinding) (Object, string) {
	b := have.(*rbacv1.ClusterRoleBinding).DeepCopy()
	if protected(b) {
		return nil, ""
	}
	if b.RoleRef != want.RoleRef {
		return nil, otherRole("ClusterRoleBinding "+b.Name, b.RoleRef, want.RoleRef)
	}
	if meta, subjects := mergeMeta(b, want), addSubjects(&b.Subjects, want.Subjects); !meta && !subjects {
		return nil, ""
	}
	return b, ""
}

func reviseRoleBinding(have runtime.Object, want *rbacv1.RoleBinding) (Object, string) {
	b := have.(*rbacv1.RoleBinding).DeepCopy()
	if protected(b) {
		return nil, ""
	}
	if b.RoleRef != want.RoleRef {
		return nil, otherRole("RoleBinding "+b.Namespace+"/"+b.Name, b.RoleRef, want.RoleRef)
	}
	if meta, subjects := mergeMeta(b, want), addSubjects(&b.Subjects, want.Subjects); !meta && !subjects {
		return nil, ""
	}
	return b, ""
}

// otherRole: the reference of a binding cannot be changed, and deleting what a user may have made is not done here.
func otherRole(what string, has, want rbacv1.RoleRef) string {
	return fmt.Sprintf("%s refers to %s %s instead of %s %s: delete it to have the default one again", what, has.Kind, has.Name, want.Kind, want.Name)
}

func protected(o metav1.Object) bool {
	return o.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false"
}

// mergeMeta adds want's labels and annotations where o has none of that name.
func mergeMeta(o, want metav1.Object) (changed bool) {
	add := func(have, want map[string]string) map[string]string {
		out := maps.Clone(want)
		if out == nil {
			out = map[string]string{}
		}
		maps.Copy(out, have)
		if len(out) != len(have) {
			changed = true
		}
		return out
	}
	labels, annotations := add(o.GetLabels(), want.GetLabels()), add(o.GetAnnotations(), want.GetAnnotations())
	if changed {
		o.SetLabels(labels)
		o.SetAnnotations(annotations)
	}
	return changed
}

func addRules(have *[]rbacv1.PolicyRule, want []rbacv1.PolicyRule) bool {
	ok, missing := validation.Covers(*have, want)
	*have = append(*have, missing...)
	return !ok
}

func addSubjects(have *[]rbacv1.Subject, want []rbacv1.Subject) (changed bool) {
	for _, s := range want {
		if !slices.Contains(*have, s) {
			*have, changed = append(*have, s), true
		}
	}
	return changed
}

func addSelectors(r *rbacv1.ClusterRole, want *rbacv1.AggregationRule) (changed bool) {
	if want == nil {
		return false
	}
	if r.AggregationRule == nil {
		r.AggregationRule = &rbacv1.AggregationRule{}
	}
	have := &r.AggregationRule.ClusterRoleSelectors
	for _, s := range want.ClusterRoleSelectors {
		if !slices.ContainsFunc(*have, func(h metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(h, s) }) {
			*have, changed = append(*have, s), true
		}
	}
	return changed
}
