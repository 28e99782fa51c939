package api

func apiService() kind {
	return kind{
		group: "apiregistration.k8s.io",
		name:  "APIService", plural: "apiservices",
		category: "api-extensions",
		cluster:  true,
		prefix:   "apiregistration.k8s.io/apiservices",
		subs: []sub{
			status(nil),
		},
	}
}
