package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// place is where this proxy stands.
type place struct {
	node, zone string
	skip       map[netip.Addr]bool
}

// endpoint is one address of a service port.
type endpoint struct {
	target
	local          bool // on this node
	ready, serving bool
	zones, nodes   []string // hints: for whom it is meant
}

// endpointsOf collects the IPv4 endpoints of the service port called name, once each, in a stable order.
func endpointsOf(all []*discoveryv1.EndpointSlice, name string, proto corev1.Protocol, here place) []endpoint {
	found := map[target]endpoint{}
	for _, s := range all {
		if s.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		port := portOf(s, name, proto)
		if port == 0 {
			continue
		}
		for _, e := range s.Endpoints {
			if len(e.Addresses) == 0 {
				continue
			}
			addr, err := netip.ParseAddr(e.Addresses[0])
			if err != nil || !addr.Is4() {
				continue // the API server refuses such
			}
			one := readEndpoint(e, target{addr, port}, here)
			if old, twice := found[one.target]; !twice || one.ready && !old.ready {
				found[one.target] = one
			}
		}
	}
	out := make([]endpoint, 0, len(found))
	for _, e := range found {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.port, b.port)) < 0
	})
	return out
}

func portOf(s *discoveryv1.EndpointSlice, name string, proto corev1.Protocol) uint16 {
	for _, p := range s.Ports {
		if p.Port != nil && deref(p.Name, "") == name && deref(p.Protocol, corev1.ProtocolTCP) == proto {
			return uint16(*p.Port)
		}
	}
	return 0
}

// readEndpoint applies the defaults of the conditions: unknown means ready, and serving is what ready is.
func readEndpoint(e discoveryv1.Endpoint, t target, here place) endpoint {
	out := endpoint{target: t, local: e.NodeName != nil && *e.NodeName == here.node, ready: deref(e.Conditions.Ready, true)}
	out.serving = deref(e.Conditions.Serving, out.ready)
	if deref(e.Conditions.Terminating, false) {
		out.ready = false
	}
	if e.Hints != nil {
		for _, z := range e.Hints.ForZones {
			out.zones = append(out.zones, z.Name)
		}
		for _, n := range e.Hints.ForNodes {
			out.nodes = append(out.nodes, n.Name)
		}
	}
	return out
}

// usable returns the ready endpoints, or, where there are none, those that still serve while they end.
func usable(all []endpoint) []endpoint {
	if ready := keep(all, func(e endpoint) bool { return e.ready }); len(ready) > 0 {
		return ready
	}
	return keep(all, func(e endpoint) bool { return e.serving })
}

// near obeys the hints, but only where every ready endpoint has one and one of them is meant for this place.
func near(all []endpoint, here place) []endpoint {
	ready := keep(all, func(e endpoint) bool { return e.ready })
	if close := hinted(ready, here.node, func(e endpoint) []string { return e.nodes }); len(close) > 0 {
		return close
	}
	if close := hinted(ready, here.zone, func(e endpoint) []string { return e.zones }); len(close) > 0 {
		return close
	}
	return all
}

func hinted(ready []endpoint, name string, hints func(endpoint) []string) []endpoint {
	if name == "" || slices.ContainsFunc(ready, func(e endpoint) bool { return len(hints(e)) == 0 }) {
		return nil
	}
	return keep(ready, func(e endpoint) bool { return slices.Contains(hints(e), name) })
}

func locals(all []endpoint) []endpoint { return keep(all, func(e endpoint) bool { return e.local }) }

func keep(all []endpoint, want func(endpoint) bool) []endpoint {
	var out []endpoint
	for _, e := range all {
		if want(e) {
			out = append(out, e)
		}
	}
	return out
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
