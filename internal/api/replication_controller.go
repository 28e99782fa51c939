package api

func replicationController() kind {
	return kind{
		name: "ReplicationController", plural: "replicationcontrollers",
		short:    []string{"rc"},
		category: "all",
		prefix:   "controllers",
		subs: []sub{
			scale(),
			status(nil),
		},
	}
}
