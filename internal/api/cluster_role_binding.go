package api

func clusterRoleBinding() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "ClusterRoleBinding", plural: "clusterrolebindings",
		cluster: true,
	}
}
