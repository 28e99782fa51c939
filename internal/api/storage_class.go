package api

func storageClass() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "StorageClass", plural: "storageclasses",
		short:   []string{"sc"},
		cluster: true,
	}
}
