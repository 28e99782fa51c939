package api

func lease() kind {
	return kind{
		group: "coordination.k8s.io",
		name:  "Lease", plural: "leases",
	}
}
