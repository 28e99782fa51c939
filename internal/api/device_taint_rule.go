package api

func deviceTaintRule() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "DeviceTaintRule", plural: "devicetaintrules",
		storage: "v1beta2",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
