package api

func validatingAdmissionPolicyBinding() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingAdmissionPolicyBinding", plural: "validatingadmissionpolicybindings",
		category: "api-extensions",
		cluster:  true,
	}
}
