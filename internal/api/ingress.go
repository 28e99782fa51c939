package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/networking"
	"k8s.io/kubernetes/pkg/apis/networking/validation"
)

func ingress() kind {
	return kind{
		group: "networking.k8s.io",
		name:  "Ingress", plural: "ingresses",
		short:  []string{"ing"},
		prefix: "ingress",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(i, old *networking.Ingress) { i.Spec = old.Spec }),
				ValidateUpdate:   validUpdate(validation.ValidateIngressStatusUpdate),
				Warnings:         warn(ingressStatusWarnings),
				ResetFields:      specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(i *networking.Ingress) {
				i.Status = networking.IngressStatus{}
				i.Generation = 1
			}),
			PrepareForUpdate: prepareUpdate(func(i, old *networking.Ingress) {
				i.Status = old.Status
				bump(i, old, i.Spec, old.Spec)
			}),
			Validate:       valid(validation.ValidateIngressCreate),
			ValidateUpdate: validUpdate(validation.ValidateIngressUpdate),
			Warnings:       warn(ingressWarnings),
			ResetFields:    statusField,
		},
		columns: table("Name", "Class", "Hosts", "Address", "Ports", "Age"),
		row:     typed(ingressRow),
	}
}

const ingressClassAnnotation = "kubernetes.io/ingress.class"

func ingressWarnings(_ context.Context, i, old *networking.Ingress) []string {
	if _, annotated := i.Annotations[ingressClassAnnotation]; old == nil && annotated && i.Spec.IngressClassName == nil {
		return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", ingressClassAnnotation)}
	}
	return nil
}

func ingressStatusWarnings(_ context.Context, i, _ *networking.Ingress) []string {
	var w []string
	for n, in := range i.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			w = append(w, utilvalidation.GetWarningsForIP(field.NewPath("status", "loadBalancer", "ingress").Index(n), in.IP)...)
		}
	}
	return w
}

func ingressRow(i *networkingv1.Ingress, now time.Time) []any {
	var addresses []string
	for _, in := range i.Status.LoadBalancer.Ingress {
		if a := or(in.IP, in.Hostname); a != "" {
			addresses = append(addresses, a)
		}
	}
	slices.Sort(addresses)
	ports := "80"
	if len(i.Spec.TLS) > 0 {
		ports = "80, 443"
	}
	class := "<none>"
	if i.Spec.IngressClassName != nil {
		class = *i.Spec.IngressClassName
	}
	return []any{i.Name, class, hostsCell(i.Spec.Rules), strings.Join(slices.Compact(addresses), ","), ports, age(i.CreationTimestamp, now)}
}

// hostsCell shows the first three hosts; the rest is counted by rules, with or without a host, as upstream does.
func hostsCell(rules []networkingv1.IngressRule) string {
	const most = 3
	var hosts []string
	more := false
	for _, r := range rules {
		if len(hosts) == most {
			more = true
			break
		}
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	text := or(strings.Join(hosts, ","), "*")
	if more {
		text += fmt.Sprintf(" + %d more...", len(rules)-most)
	}
	return text
}
