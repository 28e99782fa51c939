package api

func selfSubjectAccessReview() kind {
	return kind{
		group: "authorization.k8s.io",
		name:  "SelfSubjectAccessReview", plural: "selfsubjectaccessreviews",
		cluster: true,
		virtual: true,
		verbs:   createOnly,
	}
}
