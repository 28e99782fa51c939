package api

func roleBinding() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "RoleBinding", plural: "rolebindings",
	}
}
