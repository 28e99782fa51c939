package api

func binding() kind {
	return kind{
		name: "Binding", plural: "bindings",
		virtual: true,
		verbs:   createOnly,
	}
}
