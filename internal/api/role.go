package api

func role() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "Role", plural: "roles",
	}
}
