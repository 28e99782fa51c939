package api

func statefulSet() kind {
	return kind{
		group: "apps",
		name:  "StatefulSet", plural: "statefulsets",
		short:    []string{"sts"},
		category: "all",
		subs: []sub{
			scale(),
			status(nil),
		},
	}
}
