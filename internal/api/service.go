package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	serviceapi "k8s.io/kubernetes/pkg/api/service"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func service() kind {
	return kind{
		name: "Service", plural: "services",
		short:    []string{"svc"},
		category: "all",
		prefix:   "services/specs",
		subs: []sub{
			{name: "proxy", kind: "ServiceProxyOptions", verbs: proxyVerbs},
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(s, old *core.Service) { s.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateServiceStatusUpdate),
				Warnings:         warn(serviceStatusWarnings),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(s *core.Service) { s.Status = core.ServiceStatus{} }),
			PrepareForUpdate: prepareUpdate(func(s, old *core.Service) {
				s.Status = old.Status
				dropTypeFields(s, old)
			}),
			Validate:       valid(validation.ValidateServiceCreate),
			ValidateUpdate: validUpdate(validation.ValidateServiceUpdate),
			Warnings: warn(func(_ context.Context, s, old *core.Service) []string {
				return serviceapi.GetWarningsForService(s, old)
			}),
			Canonicalize:        noInternalPolicy,
			AllowCreateOnUpdate: true,
			ResetFields:         statusField,
		},
		returnsDeleted: true,
		fields: selectable(func(s *corev1.Service) map[string]string {
			return map[string]string{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		}),
		wire:    &wireMap{leaves: []wireLeaf{text("spec.clusterIP", 2, 3), text("spec.type", 2, 4)}},
		columns: table("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector+"),
		row:     typed(serviceRow),
	}
}

// noInternalPolicy: upstream stores it for a name elsewhere too, and shows it to nobody.
func noInternalPolicy(obj Object) {
	if s := obj.(*core.Service); s.Spec.Type == core.ServiceTypeExternalName {
		s.Spec.InternalTrafficPolicy = nil
	}
}

func serviceStatusWarnings(_ context.Context, s, _ *core.Service) []string {
	var w []string
	for i, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			w = append(w, utilvalidation.GetWarningsForIP(field.NewPath("status", "loadBalancer", "ingress").Index(i), in.IP)...)
		}
	}
	return w
}

func serviceRow(s *corev1.Service, now time.Time) []any {
	ip := "<none>"
	if len(s.Spec.ClusterIPs) > 0 {
		ip = s.Spec.ClusterIPs[0]
	}
	return []any{s.Name, string(s.Spec.Type), ip, externalIP(s), orNone(portsCell(s.Spec.Ports)), age(s.CreationTimestamp, now), labelsCell(s.Spec.Selector)}
}

func externalIP(s *corev1.Service) string {
	fixed := strings.Join(s.Spec.ExternalIPs, ",")
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return orNone(fixed)
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		all := append(balancerAddresses(s.Status.LoadBalancer.Ingress), s.Spec.ExternalIPs...)
		return or(strings.Join(all, ","), "<pending>")
	}
	return "<unknown>"
}

func balancerAddresses(list []corev1.LoadBalancerIngress) []string {
	var out []string
	for _, in := range list {
		if a := or(in.IP, in.Hostname); a != "" {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func portsCell(ports []corev1.ServicePort) string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			out[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return strings.Join(out, ",")
}
