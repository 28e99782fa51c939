package api

func node() kind {
	return kind{
		name: "Node", plural: "nodes",
		short:   []string{"no"},
		cluster: true,
		prefix:  "minions",
		subs: []sub{
			{name: "proxy", kind: "NodeProxyOptions", verbs: []string{"create", "delete", "get", "patch", "update"}},
			status(nil),
		},
	}
}
