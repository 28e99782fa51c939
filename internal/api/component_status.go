package api

func componentStatus() kind {
	return kind{
		name: "ComponentStatus", plural: "componentstatuses",
		short:   []string{"cs"},
		cluster: true,
		virtual: true,
		verbs:   []string{"get", "list"},
	}
}
