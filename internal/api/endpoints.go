package api

import (
	"context"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func endpoints() kind {
	return kind{
		name: "Endpoints", plural: "endpoints",
		short:  []string{"ep"},
		prefix: "services/endpoints",
		strategy: &Strategy{
			Validate:            valid(validation.ValidateEndpointsCreate),
			ValidateUpdate:      validUpdate(validation.ValidateEndpointsUpdate),
			Warnings:            warn(endpointsWarnings),
			AllowCreateOnUpdate: true,
		},
		columns: table("Name", "Endpoints", "Age"),
		row: typed(func(e *corev1.Endpoints, now time.Time) []any {
			return []any{e.Name, endpointsCell(e), age(e.CreationTimestamp, now)}
		}),
	}
}

func endpointsWarnings(_ context.Context, e, _ *core.Endpoints) []string {
	if e.Labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
		return nil
	}
	var w []string
	for i, s := range e.Subsets {
		path := field.NewPath("subsets").Index(i)
		for j, a := range s.Addresses {
			w = append(w, utilvalidation.GetWarningsForIP(path.Child("addresses").Index(j).Child("ip"), a.IP)...)
		}
		for j, a := range s.NotReadyAddresses {
			w = append(w, utilvalidation.GetWarningsForIP(path.Child("notReadyAddresses").Index(j).Child("ip"), a.IP)...)
		}
	}
	return w
}

// endpointsCell shows three addresses and counts the rest.
func endpointsCell(e *corev1.Endpoints) string {
	if len(e.Subsets) == 0 {
		return "<none>"
	}
	var list []string
	for _, s := range e.Subsets {
		for _, a := range s.Addresses {
			if len(s.Ports) == 0 {
				list = append(list, a.IP)
			}
		}
		for _, p := range s.Ports {
			for _, a := range s.Addresses {
				list = append(list, net.JoinHostPort(a.IP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	return some(list)
}

// endpointSliceCell is some, or "<unset>".
func endpointSliceCell(list []string) string { return or(some(list), "<unset>") }
