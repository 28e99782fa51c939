package api

func resourceSlice() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceSlice", plural: "resourceslices",
		cluster: true,
	}
}
