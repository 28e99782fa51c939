package api

func clusterTrustBundle() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "ClusterTrustBundle", plural: "clustertrustbundles",
		storage: "v1beta1",
		cluster: true,
	}
}
