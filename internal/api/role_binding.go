package api

import (
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/kubernetes/pkg/apis/rbac/validation"
)

func roleBinding() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "RoleBinding", plural: "rolebindings",
		strategy: &Strategy{
			Validate:            valid(validation.ValidateRoleBinding),
			ValidateUpdate:      validUpdate(validation.ValidateRoleBindingUpdate),
			AllowCreateOnUpdate: true,
		},
		columns: table("Name", "Role", "Age", "Users+", "Groups+", "ServiceAccounts+"),
		row: typed(func(b *rbacv1.RoleBinding, now time.Time) []any {
			return bindingRow(b, b.RoleRef, b.Subjects, now)
		}),
	}
}

func bindingRow(b Object, ref rbacv1.RoleRef, subjects []rbacv1.Subject, now time.Time) []any {
	var users, groups, accounts []string
	for _, s := range subjects {
		switch s.Kind {
		case rbacv1.UserKind:
			users = append(users, s.Name)
		case rbacv1.GroupKind:
			groups = append(groups, s.Name)
		case rbacv1.ServiceAccountKind:
			accounts = append(accounts, s.Namespace+"/"+s.Name)
		}
	}
	return []any{
		b.GetName(), ref.Kind + "/" + ref.Name, age(b.GetCreationTimestamp(), now),
		strings.Join(users, ", "), strings.Join(groups, ", "), strings.Join(accounts, ", "),
	}
}
