package api

func csiNode() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSINode", plural: "csinodes",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
