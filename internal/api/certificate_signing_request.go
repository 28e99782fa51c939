package api

func certificateSigningRequest() kind {
	return kind{
		group: "certificates.k8s.io",
		name:  "CertificateSigningRequest", plural: "certificatesigningrequests",
		short:   []string{"csr"},
		cluster: true,
		subs: []sub{
			{name: "approval", verbs: statusVerbs},
			status(nil),
		},
	}
}
