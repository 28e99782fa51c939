package api

func persistentVolume() kind {
	return kind{
		name: "PersistentVolume", plural: "persistentvolumes",
		short:   []string{"pv"},
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
