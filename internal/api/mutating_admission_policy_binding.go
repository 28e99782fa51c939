package api

func mutatingAdmissionPolicyBinding() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingAdmissionPolicyBinding", plural: "mutatingadmissionpolicybindings",
		category: "api-extensions",
		cluster:  true,
	}
}
