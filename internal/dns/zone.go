package dns

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// ttl is for how long clients may keep an answer: as short as upstream's, because pods come and go.
const ttl = 5

// schemaVersion is the specification's.
const schemaVersion = "1.1.0"

// answer is what the zone has for a question. A name that exists may have no records of the wanted type.
type answer struct {
	exists  bool
	records []dns.RR
	extra   []dns.RR
	alias   string // the target of the CNAME in records, still to be followed
}

var nothing = answer{}

// empty is the answer for a name that only has names below it.
var empty = answer{exists: true}

// lookup answers question q, whose name below the zone is rel ("web.default.svc"), in small letters. The shapes:
//
//	""                                   the zone itself: SOA, NS
//	dns-version, ns.dns                  TXT, A
//	svc, NS.svc                          only names below
//	SERVICE.NS.svc                       A, SRV of all ports, or CNAME
//	HOST.SERVICE.NS.svc                  A of one endpoint of a headless service
//	_PORT._PROTO.SERVICE.NS.svc          SRV
//	pod, NS.pod, A-B-C-D.NS.pod          A
func (s *Server) lookup(rel string, q dns.Question) answer {
	labels := dns.SplitDomainName(rel)
	if len(labels) == 0 {
		return s.apex(q)
	}
	head := labels[:len(labels)-1]
	switch labels[len(labels)-1] {
	case "svc":
		return s.services(head, q)
	case "pod":
		return s.pod(head, q)
	case "dns":
		return s.nameServer(head, q)
	case "dns-version":
		if len(head) > 0 {
			return nothing
		}
		return records(q, &dns.TXT{Hdr: header(q.Name, dns.TypeTXT), Txt: []string{schemaVersion}})
	}
	return nothing
}

// header is a record's.
func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// records keeps those of the wanted type.
func records(q dns.Question, all ...dns.RR) answer {
	a := empty
	for _, rr := range all {
		if q.Qtype == rr.Header().Rrtype || q.Qtype == dns.TypeANY {
			a.records = append(a.records, rr)
		}
	}
	return a
}

func (s *Server) apex(q dns.Question) answer {
	return records(q, s.soa(), &dns.NS{Hdr: header(s.zone, dns.TypeNS), Ns: "ns.dns." + s.zone})
}

func (s *Server) soa() dns.RR {
	return &dns.SOA{Hdr: header(s.zone, dns.TypeSOA), Ns: "ns.dns." + s.zone, Mbox: "hostmaster." + s.zone,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl}
}

// nameServer answers for ns.dns, which is this server.
func (s *Server) nameServer(head []string, q dns.Question) answer {
	if len(head) == 0 {
		return empty
	}
	if len(head) != 1 || head[0] != "ns" {
		return nothing
	}
	var own []netip.Addr
	for _, l := range s.cfg.Listen {
		if a, err := netip.ParseAddrPort(l); err == nil {
			own = append(own, a.Addr())
		}
	}
	return records(q, addresses(q.Name, own)...)
}

// addresses makes A and AAAA records.
func addresses(name string, all []netip.Addr) []dns.RR {
	var out []dns.RR
	for _, a := range all {
		if a.Is4() {
			out = append(out, &dns.A{Hdr: header(name, dns.TypeA), A: a.AsSlice()})
		} else {
			out = append(out, &dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	return out
}

// pod answers for the name that every address has in every namespace.
func (s *Server) pod(head []string, q dns.Question) answer {
	if len(head) == 0 {
		return empty
	}
	if _, ok := s.views.namespaces.Get("", head[len(head)-1]); !ok || len(head) > 2 {
		return nothing
	}
	if len(head) == 1 {
		return empty
	}
	ip, ok := dashed(head[0])
	if !ok {
		return nothing
	}
	return records(q, addresses(q.Name, []netip.Addr{ip})...)
}

// dashed reads "10-244-0-5" and "fd00--5".
func dashed(label string) (netip.Addr, bool) {
	sep := "."
	if strings.Count(label, "-") != 3 || strings.Contains(label, "--") {
		sep = ":"
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(label, "-", sep))
	return a, err == nil && a.Zone() == ""
}

// services answers below svc.
func (s *Server) services(head []string, q dns.Question) answer {
	if len(head) == 0 {
		return empty
	}
	ns := head[len(head)-1]
	if len(head) == 1 {
		if _, ok := s.views.namespaces.Get("", ns); ok {
			return empty
		}
		return nothing
	}
	name := head[len(head)-2]
	svc, ok := s.views.services.Get(ns, name)
	if !ok {
		return nothing
	}
	v := s.look(svc)
	switch head = head[:len(head)-2]; {
	case len(head) == 0:
		return v.whole(q)
	case len(head) == 1 && strings.HasPrefix(head[0], "_"):
		return v.protocol(head[0])
	case len(head) == 1:
		return v.host(head[0], q)
	case len(head) == 2 && strings.HasPrefix(head[0], "_"):
		return v.port(strings.TrimPrefix(head[0], "_"), strings.TrimPrefix(head[1], "_"), q)
	}
	return nothing
}

// service is one Service as names see it.
type service struct {
	svc   *corev1.Service
	name  string // "web.default.svc.cluster.local."
	hosts []host // of a headless service
}

// host is one endpoint of a headless service.
type host struct {
	label string
	addr  netip.Addr
	ports []discoveryv1.EndpointPort
}

func (s *Server) look(svc *corev1.Service) service {
	v := service{svc: svc, name: svc.Name + "." + svc.Namespace + ".svc." + s.zone}
	if svc.Spec.ClusterIP != corev1.ClusterIPNone {
		return v
	}
	seen := map[string]bool{}
	for _, e := range s.views.slices.ByIndex(byService, svc.Namespace+"/"+svc.Name) {
		for _, x := range e.Endpoints {
			if !svc.Spec.PublishNotReadyAddresses && x.Conditions.Ready != nil && !*x.Conditions.Ready {
				continue
			}
			for _, text := range x.Addresses {
				a, err := netip.ParseAddr(text)
				if label := hostLabel(x, text); err == nil && !seen[label+"/"+text] {
					seen[label+"/"+text] = true
					v.hosts = append(v.hosts, host{label, a, e.Ports})
				}
			}
		}
	}
	sort.Slice(v.hosts, func(i, j int) bool {
		a, b := &v.hosts[i], &v.hosts[j]
		return cmp.Or(cmp.Compare(a.label, b.label), a.addr.Compare(b.addr)) < 0
	})
	return v
}

// hostLabel is the endpoint's host name, else its address with dashes.
func hostLabel(e discoveryv1.Endpoint, addr string) string {
	if e.Hostname != nil && *e.Hostname != "" {
		return strings.ToLower(*e.Hostname)
	}
	return strings.NewReplacer(".", "-", ":", "-").Replace(addr)
}

// whole answers for the service's own name.
func (v service) whole(q dns.Question) answer {
	switch {
	case v.svc.Spec.Type == corev1.ServiceTypeExternalName:
		to := dns.Fqdn(v.svc.Spec.ExternalName)
		return answer{exists: true, alias: to, records: []dns.RR{&dns.CNAME{Hdr: header(q.Name, dns.TypeCNAME), Target: to}}}
	case v.svc.Spec.ClusterIP == corev1.ClusterIPNone && len(v.hosts) == 0:
		return nothing
	}
	if q.Qtype == dns.TypeSRV {
		return v.srv(q, func(string, string) bool { return true })
	}
	return records(q, addresses(q.Name, v.addrs())...)
}

// addrs are the service's own addresses, or those of its endpoints in an order that spreads clients.
func (v service) addrs() []netip.Addr {
	var out []netip.Addr
	for _, ip := range clusterIPs(v.svc) {
		if a, err := netip.ParseAddr(ip); err == nil {
			out = append(out, a)
		}
	}
	for _, h := range v.hosts {
		if !slices.Contains(out, h.addr) {
			out = append(out, h.addr)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// host answers for one endpoint of a headless service.
func (v service) host(label string, q dns.Question) answer {
	var all []netip.Addr
	for _, h := range v.hosts {
		if h.label == label {
			all = append(all, h.addr)
		}
	}
	if len(all) == 0 {
		return nothing
	}
	return records(q, addresses(q.Name, all)...)
}

// protocol answers for "_tcp", below which the ports are.
func (v service) protocol(label string) answer {
	for _, p := range v.ports() {
		if p.name != "" && "_"+p.proto == label {
			return empty
		}
	}
	return nothing
}

// port answers for one named port.
func (v service) port(name, proto string, q dns.Question) answer {
	for _, p := range v.ports() {
		if p.name == name && p.proto == proto && name != "" {
			if q.Qtype != dns.TypeSRV {
				return empty
			}
			return v.srv(q, func(n, p string) bool { return n == name && p == proto })
		}
	}
	return nothing
}

// endpointPort is a port of the service or of one of its endpoints.
type endpointPort struct {
	name, proto, target string // target is the name that the port is on
	number              uint16
	addrs               []netip.Addr
}

func (v service) ports() []endpointPort {
	var out []endpointPort
	if v.svc.Spec.ClusterIP == corev1.ClusterIPNone {
		for _, h := range v.hosts {
			for _, p := range h.ports {
				if p.Port != nil {
					out = append(out, endpointPort{lower(p.Name), protoOf(p.Protocol), h.label + "." + v.name, uint16(*p.Port), []netip.Addr{h.addr}})
				}
			}
		}
		return out
	}
	if v.svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	for _, p := range v.svc.Spec.Ports {
		out = append(out, endpointPort{strings.ToLower(p.Name), protoOf(&p.Protocol), v.name, uint16(p.Port), v.addrs()})
	}
	return out
}

// srv lists the wanted ports, with the addresses of their targets beside them.
func (v service) srv(q dns.Question, want func(name, proto string) bool) answer {
	a := empty
	seen := map[string]bool{}
	var all []endpointPort
	for _, p := range v.ports() {
		if want(p.name, p.proto) {
			all = append(all, p)
		}
	}
	for _, p := range all {
		a.records = append(a.records, &dns.SRV{Hdr: header(q.Name, dns.TypeSRV), Weight: uint16(max(1, 100/len(all))), Port: p.number, Target: p.target})
		for _, rr := range addresses(p.target, p.addrs) {
			if !seen[rr.String()] {
				seen[rr.String()] = true
				a.extra = append(a.extra, rr)
			}
		}
	}
	return a
}

func protoOf(p *corev1.Protocol) string {
	if p == nil || *p == "" {
		return "tcp"
	}
	return strings.ToLower(string(*p))
}

func lower(s *string) string {
	if s == nil {
		return ""
	}
	return strings.ToLower(*s)
}

// clusterIPs are a service's own addresses.
func clusterIPs(v *corev1.Service) []string {
	if v.Spec.ClusterIP == "" || v.Spec.ClusterIP == corev1.ClusterIPNone || v.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if len(v.Spec.ClusterIPs) == 0 {
		return []string{v.Spec.ClusterIP}
	}
	return v.Spec.ClusterIPs
}
