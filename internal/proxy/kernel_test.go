package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// node is the test's network namespace with pods on point-to-point links.
type node struct {
	t     *testing.T
	pods  int
	table *table
	state *state
	here  place
}

func newNode(t *testing.T) *node {
	t.Helper()
	cfg := Config{Table: "test-services", ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16")}
	n := &node{t: t, table: newTable(cfg), state: newState(), here: place{node: "here"}}
	n.sh("ip link set lo up; ip link add minato0 type bridge; ip link set minato0 up; ip addr add 10.244.0.1/32 dev minato0; " +
		"ip addr add 192.0.2.1/32 dev minato0; ip route add 10.96.0.0/12 dev minato0 src 10.244.0.1; ip route add 198.51.100.0/24 dev minato0; " +
		"echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
	t.Cleanup(func() {
		ok(t, n.table.remove())
		n.sh("ip link del minato0; conntrack -F 2>/dev/null")
		for i := range n.pods {
			n.sh(fmt.Sprintf("ip link del host%d 2>/dev/null || true", i)) // it goes with its pod's namespace, but later
		}
	})
	ok(t, n.table.apply(nil, true))
	return n
}

func (n *node) sh(script string) string {
	n.t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return string(out)
}

// is makes the table what the world needs.
func (n *node) is(yaml string) {
	n.t.Helper()
	compileWorld(n.state, readWorld(n.t, []byte(yaml)), n.here)
	changes := n.state.changes()
	ok(n.t, n.table.apply(changes, false))
	n.state.applied(false)
	ok(n.t, conntrack{}.forget(changes, n.state))
}

// pod is a namespace with one address.
type pod struct {
	n    *node
	path string
	addr string
}

// pod adds one; an address outside of the cluster's range makes it an outsider.
func (n *node) pod(addr string) pod {
	n.t.Helper()
	p := pod{n, filepath.Join(n.t.TempDir(), "net"), addr}
	ok(n.t, os.WriteFile(p.path, nil, 0o600))
	inThread(n.t, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), p.path, "", unix.MS_BIND, "")
	})
	n.t.Cleanup(func() { unix.Unmount(p.path, unix.MNT_DETACH) })
	link := fmt.Sprintf("host%d", n.pods)
	n.pods++
	n.sh(fmt.Sprintf("ip link add %s type veth peer name eth0 && nsenter --net=%s true", link, p.path))
	n.sh(fmt.Sprintf("ip link set eth0 netns %s; ip link set %s up; ip route add %s dev %s", p.path, link, addr, link))
	n.sh(fmt.Sprintf("nsenter --net=%s sh -c 'ip link set lo up; ip addr add %s/32 dev eth0; ip link set eth0 up; ip route add 10.244.0.1 dev eth0; ip route add default via 10.244.0.1'", p.path, addr))
	return p
}

func inThread(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() { runtime.LockOSThread(); done <- f() }()
	ok(t, <-done)
}

func (p pod) in(f func() error) {
	p.n.t.Helper()
	inThread(p.n.t, func() error {
		ns, err := netns.GetFromPath(p.path)
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			return err
		}
		return f()
	})
}

// serve answers TCP and UDP on the port with the pod's address and the caller's.
func (p pod) serve(port string) pod {
	p.n.t.Helper()
	p.in(func() error {
		l, err := net.Listen("tcp4", ":"+port)
		if err != nil {
			return err
		}
		u, err := net.ListenPacket("udp4", ":"+port)
		if err != nil {
			return err
		}
		p.n.t.Cleanup(func() { l.Close(); u.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s saw %s", p.addr, c.RemoteAddr().(*net.TCPAddr).IP)
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				u.WriteTo([]byte(p.addr), from)
			}
		}()
		return nil
	})
	return p
}

// An answer may take long on a busy machine; silence is believed sooner.
const (
	patience = 20 * time.Second
	silence  = 700 * time.Millisecond
)

// dial asks by TCP for at most a while; the answer is the server's line or the error's name.
func dial(to string, most time.Duration) string {
	c, err := net.DialTimeout("tcp4", to, most)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case err != nil:
		return "timeout"
	}
	defer c.Close()
	b, _ := io.ReadAll(c)
	return string(b)
}

// want asks from the pod; nil is the node itself.
func (n *node) want(from *pod, to, want string) {
	n.t.Helper()
	got, most := "", patience
	if want == "timeout" {
		most = silence
	}
	if from == nil {
		got = dial(to, most)
	} else {
		from.in(func() error { got = dial(to, most); return nil })
	}
	if got != want {
		who := "node"
		if from != nil {
			who = from.addr
		}
		n.t.Errorf("%s asks %s: %q, want %q\n%s", who, to, got, want, n.sh("nft list table ip test-services"))
	}
}

// service is YAML of one service and its endpoints.
func service(spec string, endpoints ...string) string {
	out := "kind: Service\nmetadata: {name: web, namespace: default}\nspec: {" + spec + "}\n---\nkind: EndpointSlice\n" +
		"metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n" +
		"ports: [{port: 8080, protocol: TCP, name: t}, {port: 8080, protocol: UDP, name: u}]\nendpoints:\n"
	for _, e := range endpoints {
		addr, where, _ := strings.Cut(e, "@")
		if where == "" {
			where = "here"
		}
		out += fmt.Sprintf("- {addresses: [%s], nodeName: %s}\n", addr, where)
	}
	return out
}

func TestServicesInTheKernel(t *testing.T) {
	n := newNode(t)
	a, b, out := n.pod("10.244.0.5").serve("8080"), n.pod("10.244.0.6").serve("8080"), n.pod("203.0.113.9")
	spec := "type: NodePort, clusterIP: 10.96.1.1, externalIPs: [198.51.100.7], ports: [{name: t, port: 80, nodePort: 30080}]"
	n.is(service(spec, a.addr))
	n.want(&b, "10.96.1.1:80", "10.244.0.5 saw 10.244.0.6")
	n.want(&a, "10.96.1.1:80", "10.244.0.5 saw 10.244.0.1") // meets itself
	n.want(nil, "10.96.1.1:80", "10.244.0.5 saw 10.244.0.1")
	n.want(&out, "10.96.1.1:80", "10.244.0.5 saw 10.244.0.1") // from outside: masqueraded
	n.want(nil, "127.0.0.1:30080", "10.244.0.5 saw 10.244.0.1")
	n.want(nil, "192.0.2.1:30080", "10.244.0.5 saw 10.244.0.1")
	n.want(&b, "192.0.2.1:30080", "10.244.0.5 saw 10.244.0.1")
	n.want(&out, "192.0.2.1:30080", "10.244.0.5 saw 10.244.0.1")
	n.want(&out, "198.51.100.7:80", "10.244.0.5 saw 10.244.0.1")
	n.want(&b, "10.96.1.1:81", "refused")
	n.want(nil, "10.96.1.1:81", "refused")
	n.is(service(spec))
	n.want(&b, "10.96.1.1:80", "refused")
	n.want(nil, "10.96.1.1:80", "refused")
	n.want(&out, "192.0.2.1:30080", "refused")
	n.is(service(spec+", externalTrafficPolicy: Local, internalTrafficPolicy: Local", b.addr, "10.244.9.9@there"))
	n.want(&out, "192.0.2.1:30080", "10.244.0.6 saw 203.0.113.9")
	n.want(&a, "10.96.1.1:80", "10.244.0.6 saw 10.244.0.5")
	n.is(service(spec+", externalTrafficPolicy: Local, internalTrafficPolicy: Local", "10.244.0.5@there"))
	n.want(&out, "192.0.2.1:30080", "timeout")
	n.want(nil, "192.0.2.1:30080", "10.244.0.5 saw 10.244.0.1")
	n.want(&b, "10.96.1.1:80", "timeout")
	n.is("")
	if got := n.sh("nft list table ip test-services"); strings.Contains(got, "elements") || strings.Contains(got, "cluster-1") {
		t.Errorf("without services there is still\n%s", got)
	}
}

func TestLoadIsSpreadAndClientsStick(t *testing.T) {
	n := newNode(t)
	a, b, c := n.pod("10.244.0.5").serve("8080"), n.pod("10.244.0.6").serve("8080"), n.pod("10.244.0.7")
	seen := func(times int) map[string]bool {
		out := map[string]bool{}
		for range times {
			c.in(func() error { out[dial("10.96.1.1:80", patience)] = true; return nil })
		}
		return out
	}
	n.is(service("clusterIP: 10.96.1.1, ports: [{name: t, port: 80}]", a.addr, b.addr))
	if got := seen(40); len(got) != 2 {
		t.Errorf("40 connections reached %v", got)
	}
	sticky := "clusterIP: 10.96.1.1, sessionAffinity: ClientIP, ports: [{name: t, port: 80}]"
	n.is(service(sticky, a.addr, b.addr))
	got := seen(20)
	if len(got) != 1 {
		t.Errorf("with affinity 20 connections reached %v", got)
	}
	rest := a
	if got[a.addr+" saw "+c.addr] {
		rest = b
	}
	n.is(service(sticky, rest.addr))
	if got := seen(5); len(got) != 1 || !got[rest.addr+" saw "+c.addr] {
		t.Errorf("after the endpoint went, 5 connections reached %v", got)
	}
	n.is(service(sticky, a.addr, b.addr))
	if got := seen(20); len(got) != 1 || !got[rest.addr+" saw "+c.addr] {
		t.Errorf("after it came back, 20 connections reached %v", got)
	}
}

func TestUDPFlowsAreForgotten(t *testing.T) {
	n := newNode(t)
	a, b, c := n.pod("10.244.0.5").serve("8080"), n.pod("10.244.0.6").serve("8080"), n.pod("10.244.0.7")
	var client net.Conn
	c.in(func() (err error) { client, err = net.Dial("udp4", "10.96.1.1:53"); return err })
	defer client.Close()
	ask := func(want string) {
		t.Helper()
		b := make([]byte, 100)
		client.Write([]byte("?"))
		client.SetReadDeadline(time.Now().Add(patience))
		k, err := client.Read(b)
		if err != nil || string(b[:k]) != want {
			t.Errorf("answer %q %v, want from %s", b[:k], err, want)
		}
	}
	spec := "clusterIP: 10.96.1.1, ports: [{name: u, port: 53, protocol: UDP}]"
	n.is(service(spec, a.addr))
	ask(a.addr)
	n.is(service(spec, b.addr))
	ask(b.addr)
	n.is(service(spec))
	client.Write([]byte("?"))
	n.is(service(spec, a.addr))
	for client.SetReadDeadline(time.Now().Add(50*time.Millisecond)) == nil { // what the refusal left
		if _, err := client.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	ask(a.addr)
}

func TestSourceRanges(t *testing.T) {
	n := newNode(t)
	a, friend, foe := n.pod("10.244.0.5").serve("8080"), n.pod("203.0.113.9"), n.pod("203.0.114.9")
	y := strings.Replace(service("type: LoadBalancer, clusterIP: 10.96.1.1, loadBalancerSourceRanges: [203.0.113.0/24], ports: [{name: t, port: 80}]", a.addr),
		"\n---", "\nstatus: {loadBalancer: {ingress: [{ip: 198.51.100.8}]}}\n---", 1)
	n.is(y)
	n.want(&friend, "198.51.100.8:80", "10.244.0.5 saw 10.244.0.1")
	n.want(&foe, "198.51.100.8:80", "timeout")
	n.want(&foe, "10.96.1.1:80", "10.244.0.5 saw 10.244.0.1")
}

// canonical sorts a listing's lines: the kernel keeps a map's elements in no order.
func canonical(listing string) string {
	lines := strings.Split(strings.ReplaceAll(listing, "elements = {", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t,}")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestRuleset(t *testing.T) {
	n := newNode(t)
	n.is(service("type: NodePort, clusterIP: 10.96.1.1, sessionAffinity: ClientIP, externalTrafficPolicy: Local, ports: [{name: t, port: 80, nodePort: 30080}]", "10.244.0.5", "10.244.1.5@there"))
	got := n.sh("nft list table ip test-services")
	want, err := os.ReadFile("testdata/ruleset.txt")
	if os.Getenv("UPDATE") != "" {
		ok(t, os.WriteFile("testdata/ruleset.txt", []byte(got), 0o644))
	} else if err != nil || canonical(got) != canonical(string(want)) {
		t.Errorf("%v: the ruleset is\n%s", err, got)
	}
}

func TestManyServicesInOneTransaction(t *testing.T) {
	n := newNode(t)
	const services = 3000
	for i := range services {
		a := netip.AddrFrom4([4]byte{10, 100, byte(i >> 8), byte(i)})
		part := elements{}
		w := writer{elements: part, service: readWorld(t, []byte(service("ports: []"))).services[0], proto: 6, port: 80}
		for e := range 3 {
			w.all = append(w.all, endpoint{target: target{netip.AddrFrom4([4]byte{10, 244, byte(e), byte(i)}), 80}, ready: true})
		}
		w.internal(a)
		n.state.replace(serviceName{"default", fmt.Sprint(i)}, part)
	}
	begin := time.Now()
	ok(t, n.table.apply(n.state.changes(), false))
	n.state.applied(false)
	first := time.Since(begin)
	n.state.replace(serviceName{"default", "7"}, nil)
	begin = time.Now()
	changes := n.state.changes()
	ok(t, n.table.apply(changes, false))
	t.Logf("%d services at once: %v; one change of %d elements among them: %v", services, first, len(changes), time.Since(begin))
}
