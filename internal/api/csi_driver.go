package api

func csiDriver() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "CSIDriver", plural: "csidrivers",
		cluster: true,
	}
}
