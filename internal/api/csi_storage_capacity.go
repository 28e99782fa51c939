package api

func csiStorageCapacity() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSIStorageCapacity", plural: "csistoragecapacities",
	}
}
