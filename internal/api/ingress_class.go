package api

func ingressClass() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "IngressClass", plural: "ingressclasses",
		cluster: true,
	}
}
