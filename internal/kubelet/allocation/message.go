package allocation

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
)

// summary is what the events of a resize tell.
type summary struct {
	InitContainers []named `json:"initContainers,omitempty"`
	Containers     []named `json:"containers,omitempty"`
	Generation     int64   `json:"generation"`
	Error          string  `json:"error,omitempty"`
}

type named struct {
	Name      string                      `json:"name"`
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

// Message is the text of an event about a resize of pod to what its spec says: what, then the resources as JSON.
func Message(what string, pod *corev1.Pod, generation int64, failure string) string {
	list := func(from []corev1.Container) []named {
		var out []named
		for i := range from {
			out = append(out, named{from[i].Name, from[i].Resources})
		}
		return out
	}
	raw, err := json.Marshal(summary{list(pod.Spec.InitContainers), list(pod.Spec.Containers), generation, failure})
	if err != nil {
		return what
	}
	return what + ": " + string(raw)
}
