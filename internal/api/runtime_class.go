package api

func runtimeClass() kind {
	return kind{
		group: "node.k8s.io",
		name:  "RuntimeClass", plural: "runtimeclasses",
		cluster: true,
	}
}
