package api

func networkPolicy() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "NetworkPolicy", plural: "networkpolicies",
		short: []string{"netpol"},
	}
}
