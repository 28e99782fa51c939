package api

func persistentVolumeClaim() kind {
	return kind{
		name: "PersistentVolumeClaim", plural: "persistentvolumeclaims",
		short: []string{"pvc"},
		subs: []sub{
			status(nil),
		},
	}
}
