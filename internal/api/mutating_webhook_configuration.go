package api

func mutatingWebhookConfiguration() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "MutatingWebhookConfiguration", plural: "mutatingwebhookconfigurations",
		category: "api-extensions",
		cluster:  true,
	}
}
