package api

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
)

func ipAddress() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "IPAddress", plural: "ipaddresses",
		short:   []string{"ip"},
		cluster: true,
		strategy: &Strategy{
			KeepGenerateName: true, // the name is the address
			Validate:         valid(validation.ValidateIPAddress),
			ValidateUpdate:   validBoth(validation.ValidateIPAddress, validation.ValidateIPAddressUpdate),
		},
		columns: table("Name", "ParentRef"),
		row: typed(func(ip *networkingv1.IPAddress, now time.Time) []any {
			parent := "<none>"
			if p := ip.Spec.ParentRef; p != nil {
				gr := schema.GroupResource{Group: p.Group, Resource: p.Resource}
				parent = strings.ToLower(gr.String())
				if p.Namespace != "" {
					parent += "/" + p.Namespace
				}
				parent += "/" + p.Name
			}
			// The age has no column of its own, and is sent all the same.
			return []any{ip.Name, parent, age(ip.CreationTimestamp, now)}
		}),
	}
}
