package api

func service() kind {
	return kind{
		name: "Service", plural: "services",
		short:    []string{"svc"},
		category: "all",
		prefix:   "services/specs",
		subs: []sub{
			{name: "proxy", kind: "ServiceProxyOptions", verbs: []string{"create", "delete", "get", "patch", "update"}},
			status(nil),
		},
	}
}
