package api

func tokenReview() kind {
	return kind{
		group: "authentication.k8s.io",
		name:  "TokenReview", plural: "tokenreviews",
		cluster: true,
		virtual: true,
		verbs:   createOnly,
	}
}
