package api

func resourceClaimTemplate() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceClaimTemplate", plural: "resourceclaimtemplates",
	}
}
