package admission

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// unbuilt says, for each kind that is stored and served but that nothing acts on yet, what does not happen. ARCHITECTURE.md
// has the same list; whoever builds the missing part takes its line away.
var unbuilt = map[schema.GroupResource]string{
	{Group: "autoscaling", Resource: "horizontalpodautoscalers"}:           "nothing is scaled by it",
	{Group: "networking.k8s.io", Resource: "networkpolicies"}:              "no traffic is blocked by it",
	{Group: "networking.k8s.io", Resource: "ingresses"}:                    "no traffic is routed by it",
	{Resource: "persistentvolumeclaims"}:                                   "no volume is bound to it",
	{Resource: "persistentvolumes"}:                                        "no claim is bound to it",
	{Group: "resource.k8s.io", Resource: "resourceclaims"}:                 "no device is allocated for it",
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}: "its kind is not served",
	{Group: "apiregistration.k8s.io", Resource: "apiservices"}:             "requests for its group are not passed on",
}

// unbuiltKinds warns whoever creates an object that nothing acts on, so that it is never ignored in silence.
var unbuiltKinds = plugin{
	name: "UnbuiltKinds",
	handles: func(op Operation, gr schema.GroupResource, sub string) bool {
		return op == Create && sub == "" && unbuilt[gr] != ""
	},
	validate: func(_ context.Context, _ *Config, a *Attributes) error {
		if what := unbuilt[a.Resource.GroupResource()]; what != "" {
			a.warn("this version stores %s but does not act on them yet: %s", a.Resource.Resource, what)
		}
		return nil
	},
}
