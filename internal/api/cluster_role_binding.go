package api

import (
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/kubernetes/pkg/apis/rbac/validation"
)

func clusterRoleBinding() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "ClusterRoleBinding", plural: "clusterrolebindings",
		cluster: true,
		strategy: &Strategy{
			Validate:            valid(validation.ValidateClusterRoleBinding),
			ValidateUpdate:      validUpdate(validation.ValidateClusterRoleBindingUpdate),
			AllowCreateOnUpdate: true,
		},
		columns: table("Name", "Role", "Age", "Users+", "Groups+", "ServiceAccounts+"),
		row: typed(func(b *rbacv1.ClusterRoleBinding, now time.Time) []any {
			return bindingRow(b, b.RoleRef, b.Subjects, now)
		}),
	}
}
