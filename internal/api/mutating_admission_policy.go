package api

func mutatingAdmissionPolicy() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingAdmissionPolicy", plural: "mutatingadmissionpolicies",
		category: "api-extensions",
		cluster:  true,
	}
}
