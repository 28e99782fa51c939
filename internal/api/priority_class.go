package api

func priorityClass() kind {
	return kind{
		group: "scheduling.k8s.io",
		name:  "PriorityClass", plural: "priorityclasses",
		short:   []string{"pc"},
		cluster: true,
	}
}
