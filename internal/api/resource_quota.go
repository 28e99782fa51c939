package api

func resourceQuota() kind {
	return kind{
		name: "ResourceQuota", plural: "resourcequotas",
		short: []string{"quota"},
		subs: []sub{
			status(nil),
		},
	}
}
