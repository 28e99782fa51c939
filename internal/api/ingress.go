package api

func ingress() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "Ingress", plural: "ingresses",
		short:  []string{"ing"},
		prefix: "ingress",
		subs: []sub{
			status(nil),
		},
	}
}
