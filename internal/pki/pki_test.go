package pki

import (
	"crypto/x509"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

var names = Names{Node: "n1", IPs: []net.IP{net.IPv4(192, 0, 2, 7)}, ServiceIP: net.IPv4(10, 96, 0, 1)}

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func must(t *testing.T, dir string, n Names, now time.Time) *Bundle {
	t.Helper()
	b, err := ensureAll(dir, n, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIdentities(t *testing.T) {
	b := must(t, t.TempDir(), names, time.Now())
	for _, c := range []struct {
		pair  *Pair
		cn    string
		group string
		usage x509.ExtKeyUsage
		from  *Authority
	}{
		{b.APIServer, "kube-apiserver", "", x509.ExtKeyUsageServerAuth, b.CA},
		{b.Kubelet, "system:node:n1", "system:nodes", x509.ExtKeyUsageServerAuth, b.CA},
		{b.Admin, "kubernetes-admin", "system:masters", x509.ExtKeyUsageClientAuth, b.CA},
		{b.ControllerManager, "system:kube-controller-manager", "", x509.ExtKeyUsageClientAuth, b.CA},
		{b.Scheduler, "system:kube-scheduler", "", x509.ExtKeyUsageClientAuth, b.CA},
		{b.Node, "system:node:n1", "system:nodes", x509.ExtKeyUsageClientAuth, b.CA},
		{b.Proxy, "system:kube-proxy", "", x509.ExtKeyUsageClientAuth, b.CA},
		{b.KubeletClient, "kube-apiserver-kubelet-client", "system:masters", x509.ExtKeyUsageClientAuth, b.CA},
		{b.FrontProxyClient, "front-proxy-client", "", x509.ExtKeyUsageClientAuth, b.FrontProxyCA},
	} {
		leaf := c.pair.Leaf()
		if leaf.Subject.CommonName != c.cn || c.group != "" && !slices.Contains(leaf.Subject.Organization, c.group) {
			t.Errorf("%s: subject %v", c.cn, leaf.Subject)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.from.Pool(), KeyUsages: []x509.ExtKeyUsage{c.usage}}); err != nil {
			t.Errorf("%s: %v", c.cn, err)
		}
		if st, err := os.Stat(c.pair.KeyFile); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", c.cn, st, err)
		}
	}
	for _, h := range []string{"localhost", "127.0.0.1", "::1", "n1", "192.0.2.7", "10.96.0.1", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} {
		if err := b.APIServer.Leaf().VerifyHostname(h); err != nil {
			t.Error(err)
		}
	}
}

// TestRenewal walks one directory through time and changes, and looks at which certificates are replaced.
func TestRenewal(t *testing.T) {
	dir, start := t.TempDir(), time.Now()
	first := must(t, dir, names, start)
	day := 24 * time.Hour
	more := names
	more.IPs = append(slices.Clone(names.IPs), net.IPv4(192, 0, 2, 8))
	turned := more
	turned.IPs = []net.IP{more.IPs[1], more.IPs[0]}
	for _, c := range []struct {
		what              string
		names             Names
		at                time.Duration
		ca, server, admin bool // replaced
	}{
		{"again", names, 0, false, false, false},
		{"half a year", names, 182 * day, false, false, false},
		{"near the end", names, 300 * day, false, true, true},
		{"another address", more, 300 * day, false, true, false},
		{"the same in another order", turned, 300 * day, false, false, false},
		{"nine years", turned, 9 * 365 * day, true, true, true},
	} {
		now := must(t, dir, c.names, start.Add(c.at))
		if got := !now.CA.Leaf().Equal(first.CA.Leaf()); got != c.ca {
			t.Errorf("%s: ca replaced: %v", c.what, got)
		}
		if got := !now.APIServer.Leaf().Equal(first.APIServer.Leaf()); got != c.server {
			t.Errorf("%s: server certificate replaced: %v", c.what, got)
		}
		if got := !now.Admin.Leaf().Equal(first.Admin.Leaf()); got != c.admin {
			t.Errorf("%s: admin certificate replaced: %v", c.what, got)
		}
		first = now
	}
}

func BenchmarkFirstStart(b *testing.B) {
	for range b.N {
		if _, err := EnsureAll(b.TempDir(), names); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNextStart(b *testing.B) {
	dir := b.TempDir()
	for range b.N {
		if _, err := EnsureAll(dir, names); err != nil {
			b.Fatal(err)
		}
	}
}
