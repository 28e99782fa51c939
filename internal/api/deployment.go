package api

func deployment() kind {
	return kind{
		group: "apps",
		name:  "Deployment", plural: "deployments",
		short:    []string{"deploy"},
		category: "all",
		subs: []sub{
			scale(),
			status(nil),
		},
	}
}
