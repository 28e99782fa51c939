package endpointslice

import (
	"cmp"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"minato.dev/minato/internal/controllers/pods"
)

// group is the endpoints of one Service that share the same port numbers.
type group struct {
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
}

// endpoints works out the groups for a Service, by a key made of the ports. zone names a node's zone, "" for none.
func endpoints(svc *corev1.Service, selected []*corev1.Pod, zone func(node string) string) map[string]*group {
	groups := map[string]*group{}
	for _, p := range selected {
		if p.Status.PodIP == "" || pods.Ended(p) || p.Spec.NodeName == "" {
			continue
		}
		ports := portsOf(svc, p)
		key := portsKey(ports)
		if groups[key] == nil {
			groups[key] = &group{ports: ports}
		}
		groups[key].endpoints = append(groups[key].endpoints, endpoint(svc, p, zone(p.Spec.NodeName)))
	}
	for _, g := range groups {
		sort.Slice(g.endpoints, func(i, j int) bool {
			a, b := &g.endpoints[i], &g.endpoints[j]
			return cmp.Or(cmp.Compare(a.Addresses[0], b.Addresses[0]), cmp.Compare(a.TargetRef.Name, b.TargetRef.Name)) < 0
		})
	}
	return groups
}

func endpoint(svc *corev1.Service, p *corev1.Pod, zone string) discoveryv1.Endpoint {
	serving, terminating := pods.Ready(p), p.DeletionTimestamp != nil
	ready := svc.Spec.PublishNotReadyAddresses || serving && !terminating
	ep := discoveryv1.Endpoint{
		Addresses:  []string{p.Status.PodIP},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &p.Spec.NodeName,
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
	}
	if zone != "" {
		ep.Zone = &zone
	}
	if p.Spec.Hostname != "" && p.Spec.Subdomain == svc.Name {
		ep.Hostname = &p.Spec.Hostname
	}
	return ep
}

// portsOf resolves the Service's target ports on the pod; a name that the pod lacks is left out.
func portsOf(svc *corev1.Service, p *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		n, ok := TargetPort(sp, p)
		if !ok {
			continue
		}
		name, proto := sp.Name, sp.Protocol
		out = append(out, discoveryv1.EndpointPort{Name: &name, Protocol: &proto, Port: &n, AppProtocol: sp.AppProtocol})
	}
	return out
}

// TargetPort is the number that a Service's port has on a pod.
func TargetPort(sp *corev1.ServicePort, p *corev1.Pod) (int32, bool) {
	if sp.TargetPort.StrVal == "" {
		if n := sp.TargetPort.IntVal; n != 0 {
			return n, true
		}
		return sp.Port, true
	}
	containers := append(slices.Clone(p.Spec.Containers), restartable(p.Spec.InitContainers)...)
	for i := range containers {
		for _, cp := range containers[i].Ports {
			if cp.Name == sp.TargetPort.StrVal && cp.Protocol == sp.Protocol {
				return cp.ContainerPort, true
			}
		}
	}
	return 0, false
}

func restartable(init []corev1.Container) (out []corev1.Container) {
	for i := range init {
		if p := init[i].RestartPolicy; p != nil && *p == corev1.ContainerRestartPolicyAlways {
			out = append(out, init[i])
		}
	}
	return out
}
