package api

func endpoints() kind {
	return kind{
		name: "Endpoints", plural: "endpoints",
		short:  []string{"ep"},
		prefix: "services/endpoints",
	}
}
