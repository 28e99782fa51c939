package api

func customResourceDefinition() kind {
	return kind{
		group: "apiextensions.k8s.io",
		name:  "CustomResourceDefinition", plural: "customresourcedefinitions",
		short:    []string{"crd", "crds"},
		category: "api-extensions",
		cluster:  true,
		prefix:   "apiextensions.k8s.io/customresourcedefinitions",
		subs: []sub{
			status(nil),
		},
	}
}
