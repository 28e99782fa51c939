package api

func job() kind {
	return kind{
		group: "batch",
		name:  "Job", plural: "jobs",
		category: "all",
		subs: []sub{
			status(nil),
		},
	}
}
