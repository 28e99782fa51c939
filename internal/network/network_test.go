package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func config(t *testing.T) Config {
	return Config{Bridge: "minato0", PodCIDR: netip.MustParsePrefix("10.244.0.0/24"),
		ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"),
		StateDir: filepath.Join(t.TempDir(), "leases"), Table: "minato", LocalAddrs: []netip.Addr{netip.MustParseAddr("10.96.0.10")}}
}

func start(t *testing.T, cfg Config) *Network {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	ok(t, err)
	ok(t, netlink.LinkSetUp(lo))
	n, err := New(cfg)
	ok(t, err)
	ok(t, n.Ensure(t.Context()))
	t.Cleanup(func() { ok(t, n.Teardown(context.WithoutCancel(t.Context()))) })
	return n
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pod makes a pinned network namespace and returns its path; it goes with the test.
func pod(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "net")
	ok(t, os.WriteFile(at, nil, 0o600))
	inThread(t, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), at, "", unix.MS_BIND, "")
	})
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

// inThread runs f on a thread that dies with it, so that its namespace goes nowhere.
func inThread(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() { runtime.LockOSThread(); done <- f() }()
	ok(t, <-done)
}

// in runs f inside a pod's namespace.
func in(t *testing.T, at string, f func() error) {
	t.Helper()
	inThread(t, func() error {
		ns, err := netns.GetFromPath(at)
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

// serve answers each TCP connection to address inside the pod with the caller's address.
func serve(t *testing.T, at, address string) {
	t.Helper()
	in(t, at, func() error {
		l, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String())
				c.Close()
			}
		}()
		return nil
	})
}

// ask connects and returns what the server said about the caller.
func ask(network, address string) (string, error) {
	c, err := net.DialTimeout(network, address, 3*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

func askFrom(t *testing.T, at, address string) (got string) {
	t.Helper()
	in(t, at, func() (err error) { got, err = ask("tcp4", address); return err })
	return got
}

func attach(t *testing.T, n *Network, id, at string, ports ...PortMapping) Result {
	t.Helper()
	r, err := n.Attach(t.Context(), Request{ID: id, Netns: at, HostPorts: ports})
	ok(t, err)
	return r
}

func TestPodsReachEachOtherAndTheHost(t *testing.T) {
	n := start(t, config(t))
	pa, pb := pod(t), pod(t)
	a, b := attach(t, n, "a", pa), attach(t, n, "b", pb)
	serve(t, pb, ":80")
	host, err := net.Listen("tcp4", "10.96.0.10:53")
	ok(t, err)
	defer host.Close()
	go func() {
		c, err := host.Accept()
		if err == nil {
			io.WriteString(c, "dns "+c.RemoteAddr().(*net.TCPAddr).IP.String())
			c.Close()
		}
	}()
	for _, c := range []struct{ from, to, want string }{
		{pa, b.IPs[0].String() + ":80", a.IPs[0].String()},
		{pb, b.IPs[0].String() + ":80", b.IPs[0].String()},
		{"", b.IPs[0].String() + ":80", "10.244.0.1"},
		{pa, "10.96.0.10:53", "dns " + a.IPs[0].String()},
	} {
		var got string
		if c.from == "" {
			got, err = ask("tcp4", c.to)
			ok(t, err)
		} else {
			got = askFrom(t, c.from, c.to)
		}
		if got != c.want {
			t.Errorf("%s: the server saw %q, want %q", c.to, got, c.want)
		}
	}
	again := attach(t, n, "a", pa)
	if again.IPs[0] != a.IPs[0] {
		t.Errorf("attached again: %v, want %v", again.IPs, a.IPs)
	}
}

func TestHostPorts(t *testing.T) {
	n := start(t, config(t))
	pa, pb := pod(t), pod(t)
	a := attach(t, n, "a", pa, PortMapping{HostPort: 8080, ContainerPort: 80},
		PortMapping{Protocol: "TCP", HostIP: netip.MustParseAddr("10.244.0.1"), HostPort: 8081, ContainerPort: 80})
	b := attach(t, n, "b", pb)
	serve(t, pa, ":80")
	got, err := ask("tcp4", "127.0.0.1:8080")
	if err != nil || got != "10.244.0.1" {
		t.Errorf("from the host's loopback: %q, %v", got, err)
	}
	if got, err := ask("tcp4", "10.244.0.1:8081"); err != nil || got != "10.244.0.1" {
		t.Errorf("host address: %q, %v", got, err)
	}
	if _, err := ask("tcp4", "127.0.0.1:8081"); err == nil {
		t.Error("a host port on one address answered on another")
	}
	if got := askFrom(t, pb, "10.244.0.1:8080"); got != b.IPs[0].String() {
		t.Errorf("from a pod: %q", got)
	}
	if got := askFrom(t, pa, "10.244.0.1:8080"); got != "10.244.0.1" {
		t.Errorf("from the pod itself: %q", got)
	}
	if _, err := n.Attach(t.Context(), Request{ID: "c", Netns: pod(t), HostPorts: []PortMapping{{HostPort: 8080, ContainerPort: 1}}}); !errors.Is(err, ErrPortTaken) {
		t.Errorf("second user of a host port: %v", err)
	}
	ok(t, n.Ensure(t.Context())) // as after a restart: the ports are still there
	if _, err := ask("tcp4", "127.0.0.1:8080"); err != nil {
		t.Errorf("after Ensure: %v", err)
	}
	ok(t, n.Detach(t.Context(), "a"))
	ok(t, n.Detach(t.Context(), "a"))
	if _, err := ask("tcp4", "127.0.0.1:8080"); err == nil {
		t.Error("a closed host port answers")
	}
	_ = a
}

func TestPodsCannotReachTheLoopbackOfTheHost(t *testing.T) {
	n := start(t, config(t))
	pa := pod(t)
	attach(t, n, "a", pa)
	l, err := net.Listen("tcp4", "127.0.0.1:7777")
	ok(t, err)
	defer l.Close()
	in(t, pa, func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0)
		if err := netlink.LinkSetDown(lo); err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: eth.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("127.0.0.0/8")), Gw: net.IPv4(10, 244, 0, 1)})
	})
	in(t, pa, func() error {
		if c, err := net.DialTimeout("tcp4", "127.0.0.1:7777", 300*time.Millisecond); err == nil {
			c.Close()
			t.Error("a pod reached the host's loopback")
		}
		return nil
	})
}

func TestRestartKeepsLeases(t *testing.T) {
	cfg := config(t)
	n := start(t, cfg)
	pa := pod(t)
	a := attach(t, n, "a", pa)
	attach(t, n, "gone", pod(t))
	m, err := New(cfg)
	ok(t, err)
	ok(t, m.Ensure(t.Context()))
	if got, found := m.Status("a"); !found || got.IPs[0] != a.IPs[0] {
		t.Fatalf("after a restart: %v, %v", got, found)
	}
	ok(t, m.Sweep(t.Context(), map[string]bool{"a": true}))
	if _, found := m.Status("gone"); found {
		t.Error("a dead sandbox kept its lease")
	}
	links, err := Dump(netlink.LinkList)
	ok(t, err)
	left := 0
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, linkPrefix("minato0")) {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d pod links are left, want 1", left)
	}
	again, err := m.Attach(t.Context(), Request{ID: "a", Netns: pa})
	if err != nil || again.IPs[0] != a.IPs[0] {
		t.Errorf("attached again: %v, %v", again, err)
	}
}

func TestAddressIsNotReusedWhileItsLinkLives(t *testing.T) {
	cfg := config(t)
	cfg.PodCIDR = netip.MustParsePrefix("10.244.0.0/29") // five pods
	n := start(t, cfg)
	old := pod(t)
	first := attach(t, n, "old", old)
	ok(t, n.Detach(t.Context(), "old")) // its namespace, and so its link, lives on
	seen := map[netip.Addr]bool{first.IPs[0]: true}
	for i := range 4 {
		r := attach(t, n, fmt.Sprint(i), pod(t))
		if seen[r.IPs[0]] {
			t.Fatalf("%v was given out twice", r.IPs[0])
		}
		seen[r.IPs[0]] = true
	}
	if _, err := n.Attach(t.Context(), Request{ID: "more", Netns: pod(t)}); !errors.Is(err, ErrExhausted) {
		t.Errorf("no address is left: %v", err)
	}
}

func TestTeardownLeavesNothing(t *testing.T) {
	before := snapshot(t)
	n := start(t, config(t))
	attach(t, n, "a", pod(t), PortMapping{HostPort: 80, ContainerPort: 80})
	ok(t, n.Teardown(t.Context()))
	if after := snapshot(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	ok(t, n.Teardown(t.Context()))
}

func TestTwoClustersSideBySide(t *testing.T) {
	one := start(t, config(t))
	cfg := config(t)
	cfg.Bridge, cfg.Table = "minato1", "minato1"
	cfg.PodCIDR, cfg.ClusterCIDR = netip.MustParsePrefix("10.245.0.0/24"), netip.MustParsePrefix("10.245.0.0/16")
	cfg.ServiceCIDR, cfg.LocalAddrs = netip.MustParsePrefix("10.112.0.0/12"), nil
	two := start(t, cfg)
	pa, pb := pod(t), pod(t)
	attach(t, one, "a", pa)
	b := attach(t, two, "a", pb)
	serve(t, pb, ":80")
	if got := askFrom(t, pa, b.IPs[0].String()+":80"); got != "10.245.0.1" && got != "10.244.0.2" {
		t.Errorf("across clusters: %q", got)
	}
	ok(t, one.Teardown(t.Context()))
	if got, err := ask("tcp4", b.IPs[0].String()+":80"); err != nil {
		t.Errorf("the second cluster after the first went: %q, %v", got, err)
	}
}

func TestRuleset(t *testing.T) {
	n := start(t, config(t))
	attach(t, n, "a", pod(t), PortMapping{HostPort: 80, ContainerPort: 8080}, PortMapping{Protocol: "udp", HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 53, ContainerPort: 53})
	got, err := exec.CommandContext(t.Context(), "nft", "list", "table", "ip", "minato").CombinedOutput()
	ok(t, err)
	want, err := os.ReadFile("testdata/ruleset.txt")
	if os.Getenv("UPDATE") != "" {
		ok(t, os.WriteFile("testdata/ruleset.txt", got, 0o644))
	} else if err != nil || string(got) != string(want) {
		t.Errorf("%v: the ruleset is\n%s", err, got)
	}
}

func TestPool(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.0.0.0/29"), []netip.Addr{netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.96.0.10")})
	var got []string
	for {
		a, ok := p.pick()
		if !ok {
			break
		}
		got = append(got, a.String())
	}
	if s := strings.Join(got, " "); s != "10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.2" {
		t.Errorf("%s", s)
	}
	p.give(netip.MustParseAddr("10.0.0.5"))
	if a, ok := p.pick(); !ok || a.String() != "10.0.0.5" {
		t.Errorf("given back: %v %v", a, ok)
	}
}

func TestBadConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"bridge name":   func(c *Config) { c.Bridge = "a-name-that-is-too-long" },
		"IPv6 is not":   func(c *Config) { c.PodCIDR = netip.MustParsePrefix("fd00::/64") },
		"too small":     func(c *Config) { c.PodCIDR = netip.MustParsePrefix("10.0.0.0/31") },
		"must be named": func(c *Config) { c.Table = "" },
	} {
		cfg := config(t)
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// snapshot is what the namespace has of links, addresses, routes and rules.
func snapshot(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, c := range []string{"ip -o link", "ip -o addr", "ip route show table all", "nft list ruleset"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", c).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v %s", c, err, out)
		}
		b.Write(out)
	}
	return b.String()
}

func TestAttachTime(t *testing.T) {
	n := start(t, config(t))
	const pods = 20
	var at []string
	for range pods {
		at = append(at, pod(t))
	}
	begin := time.Now()
	for i, p := range at {
		attach(t, n, fmt.Sprint(i), p)
	}
	t.Logf("attach: %v a pod", time.Since(begin)/pods)
}
