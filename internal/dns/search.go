package dns

import (
	"context"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
)

// walk saves a pod the steps of its search path. A pod that looks for example.org asks, because of "ndots:5", first for
// example.org.NS.svc.DOMAIN, then for example.org.svc.DOMAIN and example.org.DOMAIN, and only then for the name itself.
// At the first of these this server can tell how the walk ends, and answers with an alias to the name that exists.
//
// That is sound only where the client would really take these steps: it is a pod with the cluster's own DNS settings,
// and NS is its own namespace. In every other case, and where the walk finds nothing, the result is nil.
func (s *Server) walk(ctx context.Context, r *dns.Msg, name string, from netip.Addr) *dns.Msg {
	q := r.Question[0]
	if q.Qtype != dns.TypeA && q.Qtype != dns.TypeAAAA {
		return nil
	}
	pods := s.views.pods.ByIndex(podAddress, from.String())
	if len(pods) != 1 || !searches(pods[0]) {
		return nil
	}
	rest, ok := strings.CutSuffix(name, "."+pods[0].Namespace+".svc."+s.zone)
	if !ok || rest == "" || strings.HasPrefix(rest, "_") {
		return nil
	}
	for _, suffix := range []string{".svc", ""} {
		if a := s.lookup(rest+suffix, q); a.exists {
			return s.found(ctx, r, rest+suffix+"."+s.zone, a)
		}
	}
	if !strings.Contains(rest, ".") { // a lone label: nothing outside is meant
		return nil
	}
	return s.outside(ctx, r, rest+".")
}

// searches reports whether the pod has the search path that the kubelet gives by default.
func searches(p *corev1.Pod) bool {
	return (p.Spec.DNSPolicy == corev1.DNSClusterFirst || p.Spec.DNSPolicy == "") && p.Spec.DNSConfig == nil
}

// found answers with an alias to a name of the zone.
func (s *Server) found(ctx context.Context, r *dns.Msg, to string, a answer) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.Authoritative, m.RecursionAvailable = true, true
	m.Answer = []dns.RR{&dns.CNAME{Hdr: header(r.Question[0].Name, dns.TypeCNAME), Target: to}}
	for _, rr := range a.records {
		rr.Header().Name = to
		m.Answer = append(m.Answer, rr)
	}
	if a.alias != "" {
		return s.follows(ctx, m, r, a.alias)
	}
	if len(a.records) == 0 {
		m.Ns = []dns.RR{s.soa()}
	}
	return m
}

// outside answers with an alias to a name that the upstreams know.
func (s *Server) outside(ctx context.Context, r *dns.Msg, to string) *dns.Msg {
	next := r.Copy()
	next.Question[0].Name = to
	got := s.forward.ask(ctx, next)
	if got.Rcode != dns.RcodeSuccess {
		return nil
	}
	m := new(dns.Msg).SetReply(r)
	m.RecursionAvailable = true
	m.Answer = append([]dns.RR{&dns.CNAME{Hdr: header(r.Question[0].Name, dns.TypeCNAME), Target: to}}, got.Answer...)
	m.Ns = got.Ns
	return m
}
