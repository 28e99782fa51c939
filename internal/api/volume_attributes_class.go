package api

func volumeAttributesClass() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "VolumeAttributesClass", plural: "volumeattributesclasses",
		short:   []string{"vac"},
		cluster: true,
	}
}
