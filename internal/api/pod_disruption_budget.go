package api

func podDisruptionBudget() kind {
	return kind{
		group: "policy",
		name:  "PodDisruptionBudget", plural: "poddisruptionbudgets",
		short: []string{"pdb"},
		subs: []sub{
			status(nil),
		},
	}
}
