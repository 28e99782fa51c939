package pki

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// EnsureAll reads the certificates in dir, makes those that are missing, and renews those that are near their end or
// speak for other names than n. It never replaces an authority's key. Errors name the file and how to mend it.
func EnsureAll(dir string, n Names) (*Bundle, error) { return ensureAll(dir, n, time.Now) }

func ensureAll(dir string, n Names, now func() time.Time) (*Bundle, error) {
	if n.Node == "" {
		return nil, errors.New("certificates: the node's name is empty")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := errors.Join(removeLeftovers(dir), removeLeftovers(filepath.Join(dir, believedKeys))); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	b := &Bundle{Dir: dir, ServiceAccountKeyFile: filepath.Join(dir, signingKeyFile)}
	if err := b.ensureRoots(now); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := b.ensureLeaves(n); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	keys, err := TokenKeys(dir)
	if err != nil {
		return nil, fmt.Errorf("keys of service account tokens: %w", err)
	}
	for _, k := range keys[1:] {
		b.BelievedKeys = append(b.BelievedKeys, k.Public)
	}
	return b, syncDir(dir)
}

func (b *Bundle) ensureRoots(now func() time.Time) error {
	var g errgroup.Group
	g.Go(func() (err error) {
		b.CA, err = ensureAuthority(b.Dir, "ca", "kubernetes", now)
		return err
	})
	g.Go(func() (err error) {
		b.FrontProxyCA, err = ensureAuthority(b.Dir, "front-proxy-ca", "front-proxy-ca", now)
		return err
	})
	g.Go(func() (err error) {
		b.ServiceAccountKey, _, _, err = ensureKey(b.ServiceAccountKeyFile)
		return err
	})
	return g.Wait()
}

// ensureLeaves is the list of all certificates.
func (b *Bundle) ensureLeaves(n Names) error {
	domain := n.ClusterDomain
	if domain == "" {
		domain = "cluster.local"
	}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	serving := leaf{name: "apiserver", commonName: "kube-apiserver",
		hosts: uniqueHosts(append([]string{"localhost", n.Node, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + domain}, n.Hosts...)...),
		ips: uniqueIPs(append(append(loopback, n.ServiceIP), n.IPs...)...)}
	kubelet := leaf{name: "kubelet", commonName: "system:node:" + n.Node, groups: []string{"system:nodes"},
		hosts: uniqueHosts("localhost", n.Node), ips: uniqueIPs(append(loopback, n.IPs...)...)}
	var g errgroup.Group
	for _, c := range []struct {
		pair **Pair
		from *Authority
		leaf leaf
	}{
		{&b.APIServer, b.CA, serving},
		{&b.Kubelet, b.CA, kubelet},
		{&b.Admin, b.CA, leaf{name: "admin", commonName: "kubernetes-admin", groups: []string{"system:masters"}}},
		{&b.ControllerManager, b.CA, leaf{name: "controller-manager", commonName: "system:kube-controller-manager"}},
		{&b.Scheduler, b.CA, leaf{name: "scheduler", commonName: "system:kube-scheduler"}},
		{&b.Node, b.CA, leaf{name: "node", commonName: "system:node:" + n.Node, groups: []string{"system:nodes"}}},
		{&b.Proxy, b.CA, leaf{name: "proxy", commonName: "system:kube-proxy"}},
		{&b.KubeletClient, b.CA, leaf{name: "apiserver-kubelet-client", commonName: "kube-apiserver-kubelet-client",
			groups: []string{"system:masters"}}},
		{&b.FrontProxyClient, b.FrontProxyCA, leaf{name: "front-proxy-client", commonName: "front-proxy-client"}},
	} {
		g.Go(func() (err error) {
			*c.pair, err = c.from.ensure(b.Dir, c.leaf)
			return err
		})
	}
	return g.Wait()
}
