package dns

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// addressesOf indexes a slice by the addresses of its endpoints.
func addressesOf(e *discoveryv1.EndpointSlice) []string {
	var out []string
	for _, x := range e.Endpoints {
		for _, a := range x.Addresses {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// reverse answers for the name of an address: the service whose address it is, or the endpoints of headless services
// that have it. ours is false for every other address, which is somebody else's to name.
func (s *Server) reverse(name string) (out []dns.RR, ours bool) {
	ip, ok := reversed(name)
	if !ok {
		return nil, false
	}
	add := func(target string) {
		for _, have := range out {
			if have.(*dns.PTR).Ptr == target {
				return
			}
		}
		out = append(out, &dns.PTR{Hdr: header(name, dns.TypePTR), Ptr: target})
	}
	for _, v := range s.views.services.ByIndex(byAddress, ip.String()) {
		add(v.Name + "." + v.Namespace + ".svc." + s.zone)
	}
	for _, e := range s.views.slices.ByIndex(byAddress, ip.String()) {
		svc, ok := s.views.services.Get(e.Namespace, e.Labels[discoveryv1.LabelServiceName])
		if !ok || svc.Spec.ClusterIP != corev1.ClusterIPNone {
			continue
		}
		for _, h := range s.look(svc).hosts {
			if h.addr == ip {
				add(h.label + "." + svc.Name + "." + svc.Namespace + ".svc." + s.zone)
			}
		}
	}
	slices.SortFunc(out, func(a, b dns.RR) int { return strings.Compare(a.(*dns.PTR).Ptr, b.(*dns.PTR).Ptr) })
	return out, len(out) > 0
}

// reversed reads "5.0.244.10.in-addr.arpa." and its longer sister.
func reversed(name string) (netip.Addr, bool) {
	if head, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		labels := strings.Split(head, ".")
		slices.Reverse(labels)
		a, err := netip.ParseAddr(strings.Join(labels, "."))
		return a, err == nil && a.Is4()
	}
	head, ok := strings.CutSuffix(name, ".ip6.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	labels := strings.Split(head, ".")
	slices.Reverse(labels)
	raw, err := hex.DecodeString(strings.Join(labels, ""))
	if err != nil || len(labels) != 32 || len(raw) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(raw)), true
}
