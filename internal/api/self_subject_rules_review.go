package api

func selfSubjectRulesReview() kind {
	return kind{
		group: "authorization.k8s.io",
		name:  "SelfSubjectRulesReview", plural: "selfsubjectrulesreviews",
		cluster: true,
		virtual: true,
		verbs:   createOnly,
	}
}
