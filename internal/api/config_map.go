package api

func configMap() kind {
	return kind{
		name: "ConfigMap", plural: "configmaps",
		short: []string{"cm"},
	}
}
