package api

func storageVersionMigration() kind {
	return kind{
		group: "storagemigration.k8s.io",
		name:  "StorageVersionMigration", plural: "storageversionmigrations",
		storage: "v1beta1",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
