// Package dns answers the cluster's names on one node, as the Kubernetes DNS specification 1.1.0 wants it, and passes
// other names on to the machine's own name servers.
//
// The cluster assembly runs one Server a node. It keeps no records: every answer is made from the shared views of
// Services, EndpointSlices, Namespaces and Pods (zone.go, reverse.go), so there is nothing to bring up to date. Names
// from outside are asked for once and kept for a short while (forward.go, cache.go). A pod that walks its search path
// gets the end of the walk at the first step (search.go). Run must be called once; queries are answered side by side.
//
// To test against it, fill the views from an API server on the memory store and ask over a real socket.
package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// Config says where the server listens and what it serves.
type Config struct {
	Domain string   // "cluster.local"
	Listen []string // "10.96.0.10:53"; each is served over UDP and TCP
	// Upstreams are asked for every other name, in order ("192.0.2.1:53"); none: such names are refused.
	Upstreams []string
	// Node, where set, is the node whose pods ask: no others are looked at then, which it may not see anyway.
	Node  string
	Views *client.Views
	Log   *slog.Logger
}

// Server is one node's DNS server.
type Server struct {
	cfg     Config
	log     *slog.Logger
	zone    string // "cluster.local."
	views   views
	forward *forwarder
}

type views struct {
	services   *client.View[*corev1.Service]
	slices     *client.View[*discoveryv1.EndpointSlice]
	namespaces *client.View[*corev1.Namespace]
	pods       *client.View[*corev1.Pod]
}

// The indexes of the views.
const (
	byService  = "dns.service"
	byAddress  = "dns.address"
	podAddress = "dns.pod-address"
)

// New returns a Server; Run does the work.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, log: cfg.Log, zone: dns.CanonicalName(cfg.Domain), forward: newForwarder(others(cfg))}
}

// others are the upstreams that are not this server itself.
func others(cfg Config) []string {
	return slices.DeleteFunc(slices.Clone(cfg.Upstreams), func(u string) bool { return slices.Contains(cfg.Listen, u) })
}

// Run serves until ctx ends and calls ready once when every socket is open and the first lists are in.
func (s *Server) Run(ctx context.Context, ready func()) error {
	return run.With(ctx, func(scope *run.Scope) error {
		ctx := scope.Context()
		if err := s.follow(ctx); err != nil {
			return err
		}
		for _, addr := range s.cfg.Listen {
			if err := s.listen(ctx, scope, addr); err != nil {
				return fmt.Errorf("dns: listen on %s: %w", addr, err)
			}
		}
		ready()
		<-ctx.Done()
		return nil
	})
}

// follow starts the views and waits for their first lists.
func (s *Server) follow(ctx context.Context) error {
	vs := s.cfg.Views
	var clients metav1.ListOptions
	if s.cfg.Node != "" {
		clients.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", s.cfg.Node).String()
	}
	s.views = views{client.ViewOf(vs, client.Services), client.ViewOf(vs, client.EndpointSlices), client.ViewOf(vs, client.Namespaces), client.SelectedViewOf(vs, client.Pods, clients)}
	s.views.slices.Index(byService, func(e *discoveryv1.EndpointSlice) []string {
		return []string{e.Namespace + "/" + e.Labels[discoveryv1.LabelServiceName]}
	})
	s.views.slices.Index(byAddress, addressesOf)
	s.views.services.Index(byAddress, func(v *corev1.Service) []string { return clusterIPs(v) })
	s.views.pods.Index(podAddress, func(p *corev1.Pod) []string {
		if p.Spec.HostNetwork || p.Status.PodIP == "" {
			return nil
		}
		return []string{p.Status.PodIP}
	})
	for _, wait := range []func(context.Context) error{s.views.services.WaitSynced, s.views.slices.WaitSynced, s.views.namespaces.WaitSynced, s.views.pods.WaitSynced} {
		if err := wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// listen opens both sockets of addr and serves them until ctx ends.
func (s *Server) listen(ctx context.Context, scope *run.Scope, addr string) error {
	var cfg net.ListenConfig
	udp, err := cfg.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return err
	}
	tcp, err := cfg.Listen(ctx, "tcp", udp.LocalAddr().String())
	if err != nil {
		udp.Close()
		return err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { s.serve(ctx, w, r) })
	// Without a time of its own the reader of packets would wake every two seconds; its end does not wait for that.
	for _, srv := range []*dns.Server{{PacketConn: udp, Handler: handler, UDPSize: dns.MaxMsgSize, ReadTimeout: time.Hour}, {Listener: tcp, Handler: handler, IdleTimeout: func() time.Duration { return 10 * time.Second }}} {
		scope.Go("dns on "+addr, func(context.Context) error {
			defer context.AfterFunc(ctx, func() { stop(srv, udp, tcp) })()
			err := srv.ActivateAndServe()
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	return nil
}

// stop ends a server; one that has not begun yet ends with its closed socket.
func stop(srv *dns.Server, udp net.PacketConn, tcp net.Listener) {
	if err := srv.Shutdown(); err != nil {
		udp.Close()
		tcp.Close()
	}
}

// serve answers one query.
func (s *Server) serve(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) {
	m := s.reply(ctx, r, source(w.RemoteAddr()))
	size := dns.MinMsgSize
	if opt := r.IsEdns0(); opt != nil {
		size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		if m.IsEdns0() == nil {
			m.SetEdns0(maxUDP, opt.Do())
		}
		if opt.Version() != 0 {
			m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeBadVers
		}
	}
	if w.LocalAddr().Network() == "tcp" {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	if err := w.WriteMsg(m); err != nil {
		s.log.Debug("answer not sent", "to", w.RemoteAddr().String(), "err", err)
	}
}

// maxUDP is the largest answer that no path is known to break into pieces.
const maxUDP = 1232

func source(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// reply makes the answer to r, which came from a client at from.
func (s *Server) reply(ctx context.Context, r *dns.Msg, from netip.Addr) *dns.Msg {
	m := new(dns.Msg)
	if r.Opcode != dns.OpcodeQuery {
		return m.SetRcode(r, dns.RcodeNotImplemented)
	}
	if len(r.Question) != 1 {
		return m.SetRcode(r, dns.RcodeFormatError)
	}
	q := r.Question[0]
	if q.Qclass != dns.ClassINET || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		return m.SetRcode(r, dns.RcodeRefused)
	}
	m.SetReply(r)
	m.RecursionAvailable = true
	name := dns.CanonicalName(q.Name)
	if dns.IsSubDomain(s.zone, name) {
		return s.fromZone(ctx, m, r, name, from)
	}
	if q.Qtype == dns.TypePTR {
		if records, ours := s.reverse(name); ours {
			m.Authoritative = true
			for _, rr := range records {
				rr.Header().Name = q.Name
			}
			m.Answer = records
			return m
		}
	}
	return s.forward.ask(ctx, r)
}

// fromZone answers a name of the cluster's domain.
func (s *Server) fromZone(ctx context.Context, m, r *dns.Msg, name string, from netip.Addr) *dns.Msg {
	a := s.lookup(strings.TrimSuffix(strings.TrimSuffix(name, s.zone), "."), r.Question[0])
	if !a.exists {
		if found := s.walk(ctx, r, name, from); found != nil {
			return found
		}
	}
	m.Authoritative = true
	m.Answer, m.Extra = a.records, a.extra
	if a.alias != "" {
		return s.follows(ctx, m, r, a.alias)
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{s.soa()}
		if !a.exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	return m
}

// follows adds what an ExternalName service's alias leads to, as far as it can be learnt.
func (s *Server) follows(ctx context.Context, m, r *dns.Msg, alias string) *dns.Msg {
	q := r.Question[0]
	if q.Qtype == dns.TypeCNAME {
		return m
	}
	next := r.Copy()
	next.Question[0].Name = alias
	if name := dns.CanonicalName(alias); dns.IsSubDomain(s.zone, name) {
		a := s.lookup(strings.TrimSuffix(strings.TrimSuffix(name, s.zone), "."), next.Question[0])
		m.Answer = append(m.Answer, a.records...)
		return m
	}
	if got := s.forward.ask(ctx, next); got.Rcode == dns.RcodeSuccess {
		m.Answer = append(m.Answer, got.Answer...)
	}
	return m
}
