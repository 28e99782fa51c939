package api

func validatingWebhookConfiguration() kind {
	return kind{
		group: "admissionregistration.k8s.io",
		name:  "ValidatingWebhookConfiguration", plural: "validatingwebhookconfigurations",
		category: "api-extensions",
		cluster:  true,
	}
}
