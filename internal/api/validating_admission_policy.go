package api

func validatingAdmissionPolicy() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingAdmissionPolicy", plural: "validatingadmissionpolicies",
		category: "api-extensions",
		cluster:  true,
		subs: []sub{
			status(nil),
		},
	}
}
