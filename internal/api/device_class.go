package api

func deviceClass() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "DeviceClass", plural: "deviceclasses",
		cluster: true,
	}
}
