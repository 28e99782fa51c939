package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create[T client.Object](t testing.TB, c *client.Client, k client.Kind[T], o T) T {
	t.Helper()
	got, err := client.Of(c, k).Create(t.Context(), o)
	ok(t, err)
	return got
}

func ptr[T any](v T) *T { return &v }

// start fills a cluster, serves it on a free port of the loopback, and returns the address.
func start(t *testing.T, upstreams ...string) (*client.Client, string) {
	t.Helper()
	api := apiservertest.Start(t)
	fill(t, api.Client)
	ctx, cancel := context.WithCancel(t.Context())
	views := client.NewViews(ctx, api.Client, testLog(t))
	addr := "127.0.0.1:53" // one after the other, in a network of their own
	s := New(Config{Domain: "cluster.local", Listen: []string{addr}, Upstreams: upstreams, Views: views})
	scope := run.NewScope(ctx)
	ready := make(chan struct{})
	scope.Go("dns", func(ctx context.Context) error { return s.Run(ctx, func() { close(ready) }) })
	t.Cleanup(func() { cancel(); ok(t, scope.Wait()); ok(t, views.Wait()) })
	select {
	case <-ready:
	case <-scope.Context().Done():
		t.Fatal(scope.Wait())
	}
	return api.Client, addr
}

var given atomic.Int32

// free is an address of the loopback that nobody has had: below the ports that the kernel gives to callers, in a network
// where nobody else is.
func free() string { return fmt.Sprintf("127.0.0.%d:53", 1+given.Add(1)) }

func fill(t *testing.T, c *client.Client) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "default", Name: name} }
	tcp := corev1.ProtocolTCP
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.1.1",
		Ports: []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}}})
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("db"), Spec: corev1.ServiceSpec{ClusterIP: "None",
		Ports: []corev1.ServicePort{{Name: "sql", Port: 5432}}}})
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("lonely"), Spec: corev1.ServiceSpec{ClusterIP: "None"}})
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("eager"), Spec: corev1.ServiceSpec{ClusterIP: "None", PublishNotReadyAddresses: true}})
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("far"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "www.example.org"}})
	create(t, c, client.Services, &corev1.Service{ObjectMeta: meta("near"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "web.default.svc.cluster.local"}})
	slice := func(svc string, kind discoveryv1.AddressType, port *int32, e ...discoveryv1.Endpoint) {
		m := meta(svc + "-" + strings.ToLower(string(kind)))
		m.Labels = map[string]string{discoveryv1.LabelServiceName: svc}
		s := &discoveryv1.EndpointSlice{ObjectMeta: m, AddressType: kind, Endpoints: e}
		if port != nil {
			s.Ports = []discoveryv1.EndpointPort{{Name: ptr("sql"), Port: port, Protocol: &tcp}}
		}
		create(t, c, client.EndpointSlices, s)
	}
	slice("db", discoveryv1.AddressTypeIPv4, ptr(int32(5432)),
		discoveryv1.Endpoint{Addresses: []string{"10.244.0.5"}, Hostname: ptr("db-0")},
		discoveryv1.Endpoint{Addresses: []string{"10.244.0.6"}},
		discoveryv1.Endpoint{Addresses: []string{"10.244.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr(false)}})
	slice("db", discoveryv1.AddressTypeIPv6, nil, discoveryv1.Endpoint{Addresses: []string{"fd00::5"}, Hostname: ptr("db-0")})
	slice("eager", discoveryv1.AddressTypeIPv4, nil, discoveryv1.Endpoint{Addresses: []string{"10.244.0.9"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr(false)}})
	slice("web", discoveryv1.AddressTypeIPv4, nil, discoveryv1.Endpoint{Addresses: []string{"10.244.0.30"}})
}

// ask asks over network ("udp", "tcp").
func ask(t testing.TB, network, addr, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	c := &dns.Client{Net: network, Timeout: 30 * time.Second}
	m, _, err := c.Exchange(q, addr)
	ok(t, err)
	return m
}

// show is an answer on a few lines.
func show(m *dns.Msg) string {
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(out)
	head := dns.RcodeToString[m.Rcode]
	if m.Authoritative {
		head += " authoritative"
	}
	for _, rr := range m.Ns {
		head += " " + dns.TypeToString[rr.Header().Rrtype]
	}
	return strings.Join(append([]string{head}, out...), "\n") + "\n"
}

// TestAnswers asks what testdata/answers.txt asks, one "NAME TYPE" a paragraph, and compares. UPDATE=1 writes the file.
func TestAnswers(t *testing.T) {
	_, addr := start(t)
	at := filepath.Join("testdata", "answers.txt")
	raw, err := os.ReadFile(at)
	ok(t, err)
	var out strings.Builder
	for _, p := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		head, _, _ := strings.Cut(p, "\n")
		f := strings.Fields(head)
		udp := ask(t, "udp", addr, f[0], dns.StringToType[f[1]])
		if tcp := ask(t, "tcp", addr, f[0], dns.StringToType[f[1]]); show(tcp) != show(udp) {
			t.Errorf("%s: over TCP\n%s\nover UDP\n%s", head, show(tcp), show(udp))
		}
		fmt.Fprintf(&out, "%s\n%s\n", head, show(udp))
	}
	got := strings.TrimSpace(out.String()) + "\n"
	if os.Getenv("UPDATE") != "" {
		ok(t, os.WriteFile(at, []byte(got), 0o644))
	} else if got != string(raw) {
		t.Errorf("the answers are\n%s", got)
	}
}

func TestAnswersFollowTheCluster(t *testing.T) {
	c, addr := start(t)
	name := "new.default.svc.cluster.local."
	if m := ask(t, "udp", addr, name, dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Fatal(m)
	}
	create(t, c, client.Services, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "new"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.7.7", Ports: []corev1.ServicePort{{Port: 1}}}})
	until(t, func() bool { return len(ask(t, "udp", addr, name, dns.TypeA).Answer) == 1 })
	ok(t, client.Of(c, client.Services).Delete(t.Context(), "default", "new", metav1.DeleteOptions{}))
	until(t, func() bool { return ask(t, "udp", addr, name, dns.TypeA).Rcode == dns.RcodeNameError })
}

func until(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true")
		}
	}
}

func TestOddQueries(t *testing.T) {
	_, addr := start(t)
	c := &dns.Client{Timeout: 30 * time.Second}
	send := func(change func(*dns.Msg)) *dns.Msg {
		q := new(dns.Msg).SetQuestion("WEB.default.SVC.cluster.local.", dns.TypeA)
		change(q)
		m, _, err := c.Exchange(q, addr)
		ok(t, err)
		return m
	}
	if m := send(func(*dns.Msg) {}); len(m.Answer) != 1 || m.Answer[0].Header().Name != "WEB.default.SVC.cluster.local." || m.IsEdns0() != nil {
		t.Errorf("spelling: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.SetEdns0(4096, false) }); m.IsEdns0() == nil || m.IsEdns0().UDPSize() != maxUDP {
		t.Errorf("EDNS: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.SetEdns0(4096, false); q.IsEdns0().SetVersion(1) }); m.Rcode != dns.RcodeBadVers {
		t.Errorf("EDNS version: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS }); m.Rcode != dns.RcodeRefused {
		t.Errorf("class: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }); m.Rcode != dns.RcodeNotImplemented {
		t.Errorf("opcode: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.Question[0].Name = "example.org." }); m.Rcode != dns.RcodeRefused {
		t.Errorf("no upstream: %v", m)
	}
	if m := send(func(q *dns.Msg) { q.Question[0].Qtype = dns.TypeAXFR }); m.Rcode != dns.RcodeRefused {
		t.Errorf("transfer: %v", m)
	}
}

func TestLargeAnswersAreCut(t *testing.T) {
	c, addr := start(t)
	meta := metav1.ObjectMeta{Namespace: "default", Name: "lonely-1", Labels: map[string]string{discoveryv1.LabelServiceName: "lonely"}}
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4}
	for i := range 100 {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.244.3.%d", i+1)}})
	}
	create(t, c, client.EndpointSlices, s)
	name := "lonely.default.svc.cluster.local."
	until(t, func() bool { return len(ask(t, "tcp", addr, name, dns.TypeA).Answer) == 100 })
	m := ask(t, "udp", addr, name, dns.TypeA)
	if m.Compress = true; !m.Truncated || m.Len() > 512 || len(m.Answer) == 0 {
		t.Errorf("%d bytes, %d answers, truncated %v", m.Len(), len(m.Answer), m.Truncated)
	}
}

// upstream is a name server for example.org; it counts the questions.
func upstream(t *testing.T) (addr string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	p, err := net.ListenPacket("udp4", free())
	ok(t, err)
	l, err := net.Listen("tcp4", p.LocalAddr().String())
	ok(t, err)
	h := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg).SetReply(r)
		q := r.Question[0]
		switch {
		case q.Name == "big.example.org." && w.LocalAddr().Network() == "udp":
			m.Truncated = true
		case q.Name == "slow.example.org.":
			<-time.After(50 * time.Millisecond)
			fallthrough
		case strings.HasSuffix(q.Name, ".example.org.") && !strings.HasPrefix(q.Name, "no") && q.Qtype == dns.TypeA:
			rr, _ := dns.NewRR(q.Name + " 300 IN A 192.0.2.80")
			m.Answer = append(m.Answer, rr)
		case strings.HasSuffix(q.Name, ".example.org.") && q.Qtype != dns.TypeA:
		default:
			m.Rcode = dns.RcodeNameError
			rr, _ := dns.NewRR("example.org. 60 IN SOA a. b. 1 2 3 4 60")
			m.Ns = append(m.Ns, rr)
		}
		w.WriteMsg(m)
	})
	for _, srv := range []*dns.Server{{PacketConn: p, Handler: h}, {Listener: l, Handler: h}} {
		go srv.ActivateAndServe()
		t.Cleanup(func() { srv.Shutdown() })
	}
	return p.LocalAddr().String(), asked
}

func TestForward(t *testing.T) {
	up, asked := upstream(t)
	_, addr := start(t, free(), up) // the first one does not answer
	for i := range 3 {
		m := ask(t, "udp", addr, "Www.example.org.", dns.TypeA)
		if len(m.Answer) != 1 || m.Answer[0].Header().Name != "Www.example.org." || m.Authoritative || m.Answer[0].Header().Ttl < 290 {
			t.Errorf("%d: %v", i, m)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
	if m := ask(t, "udp", addr, "nobody.example.org.", dns.TypeA); m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
		t.Errorf("%v", m)
	}
	if m := ask(t, "tcp", addr, "big.example.org.", dns.TypeA); len(m.Answer) != 1 || m.Truncated {
		t.Errorf("%v", m)
	}
	if m := ask(t, "udp", addr, "far.default.svc.cluster.local.", dns.TypeA); show(m) != "NOERROR authoritative\nfar.default.svc.cluster.local. 5 IN CNAME www.example.org.\nwww.example.org. 300 IN A 192.0.2.80\n" {
		t.Errorf("%s", show(m))
	}
	asked.Store(0)
	done := make(chan struct{})
	for range 10 {
		go func() { ask(t, "udp", addr, "slow.example.org.", dns.TypeA); done <- struct{}{} }()
	}
	for range 10 {
		<-done
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("ten equal questions made %d", n)
	}
}

func TestNoUpstreamAnswers(t *testing.T) {
	_, addr := start(t, free())
	if m := ask(t, "udp", addr, "example.org.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", m)
	}
}

func TestSearchPathIsWalkedHere(t *testing.T) {
	up, asked := upstream(t)
	c, addr := start(t, up)
	walk := "www.example.org.default.svc.cluster.local."
	if m := ask(t, "udp", addr, walk, dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Fatalf("for a stranger: %v", m)
	}
	p := create(t, c, client.Pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}})
	p.Status.PodIP, p.Status.PodIPs = "127.0.0.1", []corev1.PodIP{{IP: "127.0.0.1"}} // where the test asks from
	_, err := client.Of(c, client.Pods).UpdateStatus(t.Context(), p)
	ok(t, err)
	until(t, func() bool { return ask(t, "udp", addr, walk, dns.TypeA).Rcode == dns.RcodeSuccess })
	for name, want := range map[string]string{
		walk:                                     "NOERROR\nwww.example.org. 300 IN A 192.0.2.80\nwww.example.org.default.svc.cluster.local. 5 IN CNAME www.example.org.\n",
		"web.default.default.svc.cluster.local.": "NOERROR authoritative\nweb.default.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.\nweb.default.svc.cluster.local. 5 IN A 10.96.1.1\n",
		"web.default.svc.default.svc.cluster.local.":    "NOERROR authoritative\nweb.default.svc.cluster.local. 5 IN A 10.96.1.1\nweb.default.svc.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.\n",
		"nobody.example.org.default.svc.cluster.local.": "NXDOMAIN authoritative SOA\n",
		"www.example.org.other.svc.cluster.local.":      "NXDOMAIN authoritative SOA\n",
		"lone.default.svc.cluster.local.":               "NXDOMAIN authoritative SOA\n",
	} {
		if got := show(ask(t, "udp", addr, name, dns.TypeA)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	_ = asked
}

func TestPortIsTaken(t *testing.T) {
	api := apiservertest.Start(t)
	p, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ok(t, err)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	views := client.NewViews(ctx, api.Client, testLog(t))
	defer func() { cancel(); ok(t, views.Wait()) }()
	s := New(Config{Domain: "cluster.local", Listen: []string{p.LocalAddr().String()}, Views: views})
	if err := s.Run(ctx, func() { t.Error("ready") }); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCache(t *testing.T) {
	c, now := newCache(), time.Unix(1000, 0)
	m := new(dns.Msg).SetQuestion("a.", dns.TypeA)
	rr, err := dns.NewRR("a. 20 IN A 192.0.2.1")
	ok(t, err)
	m.Answer = []dns.RR{rr}
	q := question{name: "a.", qtype: dns.TypeA}
	c.put(q, m, now)
	if got := c.get(q, now.Add(5*time.Second)); got == nil || got.Answer[0].Header().Ttl != 15 {
		t.Errorf("after 5 s: %v", got)
	}
	if got := c.get(q, now.Add(20*time.Second)); got != nil {
		t.Errorf("after 20 s: %v", got)
	}
	m.Rcode = dns.RcodeServerFailure
	c.put(question{name: "b."}, m, now)
	if c.get(question{name: "b."}, now) != nil {
		t.Error("a failure was kept")
	}
	m.Rcode = dns.RcodeSuccess
	for i := range 3 * maxCached {
		c.put(question{name: fmt.Sprint(i)}, m, now)
	}
	if len(c.m) > maxCached {
		t.Errorf("%d answers are kept", len(c.m))
	}
}

func FuzzReply(f *testing.F) {
	s := New(Config{Domain: "cluster.local"})
	s.views = views{}
	for _, n := range []string{"cluster.local.", "ns.dns.cluster.local.", "x.pod.cluster.local.", "dns-version.cluster.local."} {
		b, err := new(dns.Msg).SetQuestion(n, dns.TypeA).Pack()
		ok(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{string(b)} {
			dashed(name)
			reversed(name)
		}
		var q dns.Msg
		if q.Unpack(b) != nil || len(q.Question) != 1 {
			return
		}
		name := dns.CanonicalName(q.Question[0].Name)
		if dns.IsSubDomain(s.zone, name) && !strings.Contains(name, "svc") && !strings.Contains(name, "pod") {
			if m := s.reply(t.Context(), &q, source(&net.UDPAddr{})); m == nil {
				t.Fatal("no answer")
			}
		}
	})
}

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
