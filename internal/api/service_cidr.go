package api

func serviceCIDR() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "ServiceCIDR", plural: "servicecidrs",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
