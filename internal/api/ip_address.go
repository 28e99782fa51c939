package api

func ipAddress() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "IPAddress", plural: "ipaddresses",
		short:   []string{"ip"},
		cluster: true,
	}
}
