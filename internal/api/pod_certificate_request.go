package api

func podCertificateRequest() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "PodCertificateRequest", plural: "podcertificaterequests",
		storage: "v1beta1",
		subs: []sub{
			status(nil),
		},
	}
}
