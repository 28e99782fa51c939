package api

func localSubjectAccessReview() kind {
	return kind{
		group: "authorization.k8s.io",
		name:  "LocalSubjectAccessReview", plural: "localsubjectaccessreviews",
		virtual: true,
		verbs:   createOnly,
	}
}
