package api

func replicaSet() kind {
	return kind{
		group: "apps",
		name:  "ReplicaSet", plural: "replicasets",
		short:    []string{"rs"},
		category: "all",
		subs: []sub{
			scale(),
			status(nil),
		},
	}
}
