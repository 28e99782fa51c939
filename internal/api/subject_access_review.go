package api

func subjectAccessReview() kind {
	return kind{
		group: "authorization.k8s.io",
		name:  "SubjectAccessReview", plural: "subjectaccessreviews",
		cluster: true,
		virtual: true,
		verbs:   createOnly,
	}
}
