package api

import "k8s.io/apimachinery/pkg/runtime/schema"

func event() kind {
	return kind{
		name: "Event", plural: "events",
		short: []string{"ev"},
	}
}

// eventsOfOwnGroup is events.k8s.io/v1, another view of the same stored kind.
func eventsOfOwnGroup(core *Resource) *Resource {
	r := *core
	r.GroupVersion = schema.GroupVersion{Group: "events.k8s.io", Version: "v1"}
	return &r
}
