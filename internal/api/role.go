package api

import "k8s.io/kubernetes/pkg/apis/rbac/validation"

func role() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "Role", plural: "roles",
		strategy: &Strategy{
			Validate:            valid(validation.ValidateRole),
			ValidateUpdate:      validUpdate(validation.ValidateRoleUpdate),
			AllowCreateOnUpdate: true,
		},
	}
}
