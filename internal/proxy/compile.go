package proxy

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// compiled is what one service needs on this node.
type compiled struct {
	elements elements
	health   healthState
}

// compile turns a service, nil for one that is gone, and its slices into elements. It is pure.
func compile(s *corev1.Service, all []*discoveryv1.EndpointSlice, here place) compiled {
	c := compiled{elements: elements{}}
	if s == nil || s.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.ClusterIP == corev1.ClusterIPNone || s.Spec.ClusterIP == "" ||
		s.Labels["service.kubernetes.io/service-proxy-name"] != "" {
		return c
	}
	internal := serviceAddrs(s.Spec.ClusterIPs, s.Spec.ClusterIP)
	ready := map[netip.Addr]bool{}
	for _, p := range s.Spec.Ports {
		proto := p.Protocol
		if proto == "" {
			proto = corev1.ProtocolTCP
		}
		if protocolNumbers[proto] == 0 {
			continue
		}
		w := writer{elements: c.elements, service: s, here: here, proto: protocolNumbers[proto], port: uint16(p.Port),
			all: endpointsOf(all, p.Name, proto, here)}
		for _, e := range locals(w.all) {
			if e.ready {
				ready[e.addr] = true
			}
		}
		for _, a := range internal {
			w.internal(a)
		}
		for _, a := range externalAddrs(s) {
			w.external(vip{a, w.proto, w.port}, isBalancer(s, a))
		}
		if p.NodePort != 0 {
			w.external(vip{netip.IPv4Unspecified(), w.proto, uint16(p.NodePort)}, false)
		}
	}
	if s.Spec.HealthCheckNodePort != 0 && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		c.health = healthState{port: uint16(s.Spec.HealthCheckNodePort), local: len(ready)}
	}
	return c
}

// writer puts the elements of one service port together.
type writer struct {
	elements elements
	service  *corev1.Service
	here     place
	proto    uint8
	port     uint16
	all      []endpoint
}

// internal serves a cluster address.
func (w *writer) internal(a netip.Addr) {
	if w.here.skip[a] {
		return
	}
	w.elements[key{set: setClusterIPs, target: target{addr: a}}] = value{}
	v := vip{a, w.proto, w.port}
	var use []endpoint
	policy := deref(w.service.Spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	if policy == corev1.ServiceInternalTrafficPolicyLocal {
		use = usable(locals(w.all))
	} else {
		use = usable(near(w.all, w.here))
	}
	if len(use) == 0 {
		w.close(v, policy == corev1.ServiceInternalTrafficPolicyLocal && len(usable(w.all)) > 0)
		return
	}
	w.list(v, use, 0)
	w.open(v, chain{kind: "cluster", count: len(use), sticky: w.sticky()})
}

// external serves an address or port that outsiders use.
func (w *writer) external(v vip, balancer bool) {
	use := usable(near(w.all, w.here))
	c := chain{kind: "external", count: len(use), sticky: w.sticky()}
	if v.isNode() {
		c.kind = "node"
	}
	if w.service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		local := usable(locals(w.all))
		c.kind, c.local = c.kind+"-local", len(local)
		w.list(v, local, localList)
		if len(local) == 0 {
			w.close(v, len(use) > 0)
		}
	} else if len(use) == 0 {
		w.close(v, false)
	}
	if c.count+c.local > 0 {
		w.list(v, use, 0)
		w.open(v, c)
	}
	if balancer && len(w.service.Spec.LoadBalancerSourceRanges) > 0 {
		w.restrict(v)
	}
}

// list numbers the endpoints from first on.
func (w *writer) list(v vip, use []endpoint, first uint32) {
	for i, e := range use {
		at := first + uint32(i)
		if w.sticky() > 0 {
			w.elements[key{set: setSticky, vip: v, index: at}] = value{index: e.lasting()}
			at = e.lasting()
		}
		w.elements[key{set: setEndpoints, vip: v, index: at}] = value{target: e.target}
		if e.local {
			w.elements[key{set: setHairpin, target: target{addr: e.addr}}] = value{}
		}
	}
}

func (w *writer) open(v vip, c chain) {
	w.elements[key{set: setServices, vip: v}] = value{chain: c.String()}
	w.elements[key{set: setChains, chain: c.String()}] = value{}
}

// close answers for a service without endpoints: silently where other nodes have some, since the sender may try those.
func (w *writer) close(v vip, silent bool) {
	to := chainRefuse
	if silent {
		to = chainIgnore
	}
	w.elements[key{set: setClosed, vip: v}] = value{chain: to}
}

// restrict lets only the given ranges through to a load balancer's address.
func (w *writer) restrict(v vip) {
	var ranges []string
	for _, r := range w.service.Spec.LoadBalancerSourceRanges {
		if p, err := netip.ParsePrefix(strings.TrimSpace(r)); err == nil && p.Addr().Is4() {
			ranges = append(ranges, p.Masked().String())
		}
	}
	c := rangesChain(ranges)
	w.elements[key{set: setRanges, vip: v}] = value{chain: c}
	w.elements[key{set: setChains, chain: c}] = value{}
}

// sticky is for how many seconds a client keeps its endpoint, 0 for not.
func (w *writer) sticky() int {
	if w.service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := w.service.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return int(*c.ClientIP.TimeoutSeconds)
	}
	return int(corev1.DefaultClientIPServiceAffinitySeconds)
}

// serviceAddrs are the IPv4 addresses among several, or the one of an object from before there were several.
func serviceAddrs(many []string, one string) []netip.Addr {
	if len(many) == 0 {
		many = []string{one}
	}
	var out []netip.Addr
	for _, s := range many {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			out = append(out, a)
		}
	}
	return out
}

// externalAddrs are the external addresses and those that a load balancer sends packets to as they are.
func externalAddrs(s *corev1.Service) []netip.Addr {
	out := serviceAddrs(append([]string{}, s.Spec.ExternalIPs...), "")
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" && deref(in.IPMode, corev1.LoadBalancerIPModeVIP) == corev1.LoadBalancerIPModeVIP {
			out = append(out, serviceAddrs([]string{in.IP}, "")...)
		}
	}
	return out
}

func isBalancer(s *corev1.Service, a netip.Addr) bool {
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IP == a.String() {
			return true
		}
	}
	return false
}
