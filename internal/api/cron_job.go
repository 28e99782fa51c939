package api

func cronJob() kind {
	return kind{
		group: "batch",
		name:  "CronJob", plural: "cronjobs",
		short:    []string{"cj"},
		category: "all",
		subs: []sub{
			status(nil),
		},
	}
}
