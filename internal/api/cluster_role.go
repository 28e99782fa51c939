package api

func clusterRole() kind {
	return kind{
		group: "rbac.authorization.k8s.io",
		name:  "ClusterRole", plural: "clusterroles",
		cluster: true,
	}
}
