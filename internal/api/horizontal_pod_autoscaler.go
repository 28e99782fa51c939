package api

func horizontalPodAutoscaler() kind {
	return kind{
		group: "autoscaling",
		name:  "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers",
		versions: []string{"v2", "v1"},
		short:    []string{"hpa"},
		category: "all",
		subs: []sub{
			status(nil),
		},
	}
}
