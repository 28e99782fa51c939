package api

func resourceClaim() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceClaim", plural: "resourceclaims",
		subs: []sub{
			status(nil),
		},
	}
}
