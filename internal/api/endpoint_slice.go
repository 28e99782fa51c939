package api

func endpointSlice() kind {
	return kind{
		group: "discovery.k8s.io",
		name:  "EndpointSlice", plural: "endpointslices",
	}
}
