package admission

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// escalation refuses roles and bindings that give away more than their writer holds. Upstream has this check in the
// storage of these kinds, which is why it has no name among the plugins there.
var escalation = plugin{
	name: "RBACEscalation",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return gr.Group == rbacv1.GroupName && sub == "" && (op == Create || op == Update)
	},
	validate: func(ctx context.Context, c *Config, a *Attributes) error {
		if c.Escalation == nil || a.Operation == Update && grantsTheSame(a.Object, a.OldObject) {
			return nil
		}
		check := c.Escalation.ConfirmBind
		switch a.Object.(type) {
		case *rbacv1.Role, *rbacv1.ClusterRole:
			check = c.Escalation.ConfirmNoEscalation
		}
		err := check(ctx, a.User, a.Object)
		if err != nil && !apierrors.IsNotFound(err) {
			return a.forbidden(err)
		}
		return err
	},
}

// grantsTheSame says whether an update leaves what is granted, and to whom, as it was.
func grantsTheSame(obj, old runtime.Object) bool {
	same := equality.Semantic.DeepEqual
	switch o := obj.(type) {
	case *rbacv1.Role:
		was, ok := old.(*rbacv1.Role)
		return ok && same(o.Rules, was.Rules)
	case *rbacv1.ClusterRole:
		was, ok := old.(*rbacv1.ClusterRole)
		return ok && same(o.Rules, was.Rules) && same(o.AggregationRule, was.AggregationRule) && o.AggregationRule == nil
	case *rbacv1.RoleBinding:
		was, ok := old.(*rbacv1.RoleBinding)
		return ok && same(o.RoleRef, was.RoleRef) && same(o.Subjects, was.Subjects)
	case *rbacv1.ClusterRoleBinding:
		was, ok := old.(*rbacv1.ClusterRoleBinding)
		return ok && same(o.RoleRef, was.RoleRef) && same(o.Subjects, was.Subjects)
	}
	return false
}
