package api

func daemonSet() kind {
	return kind{
		group: "apps",
		name:  "DaemonSet", plural: "daemonsets",
		short:    []string{"ds"},
		category: "all",
		subs: []sub{
			status(nil),
		},
	}
}
