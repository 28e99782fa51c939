package api

func namespace() kind {
	return kind{
		name: "Namespace", plural: "namespaces",
		short:   []string{"ns"},
		cluster: true,
		verbs:   []string{"create", "delete", "get", "list", "patch", "update", "watch"},
		subs: []sub{
			{name: "finalize", verbs: []string{"update"}},
			status(nil),
		},
	}
}
