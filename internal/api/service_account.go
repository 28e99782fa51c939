package api

import "k8s.io/apimachinery/pkg/runtime/schema"

func serviceAccount() kind {
	return kind{
		name: "ServiceAccount", plural: "serviceaccounts",
		short: []string{"sa"},
		subs: []sub{
			{name: "token", kind: "TokenRequest", gv: schema.GroupVersion{Group: "authentication.k8s.io", Version: "v1"}, verbs: createOnly},
		},
	}
}
