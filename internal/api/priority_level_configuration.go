package api

func priorityLevelConfiguration() kind {
	return kind{
		group: "flowcontrol.apiserver.k8s.io",
		name:  "PriorityLevelConfiguration", plural: "prioritylevelconfigurations",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
