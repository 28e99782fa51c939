package api

func selfSubjectReview() kind {
	return kind{
		group: "authentication.k8s.io",
		name:  "SelfSubjectReview", plural: "selfsubjectreviews",
		cluster: true,
		virtual: true,
		verbs:   createOnly,
	}
}
