package api

func volumeAttachment() kind {
	return kind{
		group: "storage.k8s.io",
		name:  "VolumeAttachment", plural: "volumeattachments",
		cluster: true,
		subs: []sub{
			status(nil),
		},
	}
}
