package api

func flowSchema() kind {
	return kind{
		group: "flowcontrol.apiserver.k8s.io",
		name:  "FlowSchema", plural: "flowschemas",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
