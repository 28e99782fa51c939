package api

import "k8s.io/apimachinery/pkg/runtime/schema"

func pod() kind {
	return kind{
		name: "Pod", plural: "pods",
		short:    []string{"po"},
		category: "all",
		subs: []sub{
			{name: "attach", kind: "PodAttachOptions", verbs: []string{"create", "get"}},
			{name: "binding", kind: "Binding", verbs: createOnly},
			{name: "ephemeralcontainers", verbs: statusVerbs},
			{name: "eviction", kind: "Eviction", gv: schema.GroupVersion{Group: "policy", Version: "v1"}, verbs: createOnly},
			{name: "exec", kind: "PodExecOptions", verbs: []string{"create", "get"}},
			{name: "log", verbs: []string{"get"}},
			{name: "portforward", kind: "PodPortForwardOptions", verbs: []string{"create", "get"}},
			{name: "proxy", kind: "PodProxyOptions", verbs: []string{"create", "delete", "get", "patch", "update"}},
			{name: "resize", verbs: statusVerbs},
			status(nil),
		},
	}
}
