package api

func secret() kind {
	return kind{
		name: "Secret", plural: "secrets",
	}
}
