package api

func limitRange() kind {
	return kind{
		name: "LimitRange", plural: "limitranges",
		short: []string{"limits"},
	}
}
