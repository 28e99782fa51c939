package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// misfits lists what of a service this IPv4 proxy leaves out because it is IPv6, each with the field that has it.
func misfits(s *corev1.Service, eps []*discoveryv1.EndpointSlice) []string {
	if s == nil || s.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	var out []string
	note := func(field string, list ...string) {
		for _, text := range list {
			text = strings.TrimSpace(text)
			addr, _, _ := strings.Cut(text, "/")
			if a, err := netip.ParseAddr(addr); err == nil && !a.Is4() {
				out = append(out, fmt.Sprintf("%s in %s has incorrect IP version", text, field))
			}
		}
	}
	note("clusterIPs", s.Spec.ClusterIPs...)
	note("externalIPs", s.Spec.ExternalIPs...)
	note("loadBalancerSourceRanges", s.Spec.LoadBalancerSourceRanges...)
	for _, in := range s.Status.LoadBalancer.Ingress {
		note("load balancer ingress", in.IP)
	}
	for _, e := range eps {
		if e.AddressType == discoveryv1.AddressTypeIPv6 && len(e.Endpoints) > 0 {
			out = append(out, fmt.Sprintf("EndpointSlice %s has IPv6 addresses, which this node does not reach", e.Name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tell says once what of a service is left out: in the log, and by an event on the service.
func (p *Proxy) tell(n serviceName, s *corev1.Service, eps []*discoveryv1.EndpointSlice) {
	words := strings.Join(misfits(s, eps), "; ")
	if words == p.told[n] {
		return
	}
	if words == "" {
		delete(p.told, n)
		return
	}
	p.told[n] = words
	p.log.Warn("part of a service is left out: this cluster is IPv4 only", "service", n.ns+"/"+n.name, "what", words)
	if p.cfg.Rec != nil {
		p.cfg.Rec.Event(s, corev1.EventTypeWarning, "KubeProxyIncorrectIPVersion", "%s", words)
	}
}
