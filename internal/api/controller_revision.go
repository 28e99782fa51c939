package api

func controllerRevision() kind {
	return kind{
		group: "apps",
		name:  "ControllerRevision", plural: "controllerrevisions",
	}
}
