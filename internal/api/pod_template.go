package api

func podTemplate() kind {
	return kind{
		name: "PodTemplate", plural: "podtemplates",
	}
}
