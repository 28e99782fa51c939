package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/credential"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/failpoint"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/kubelet"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/runtime"
	"minato.dev/minato/internal/shim"
)

// node is the node's ground: pod network, images and container runtime. It needs no API server.
type node struct {
	a   *assembly
	cri *cri.Client      // set before ready
	net *network.Network // set before ready

	changed chan struct{} // the runtime has something new to say

	keeper   *container.Keeper // set before ready
	visitors *visitors         // of a host; nil in a cluster
	idle     bool              // the host has ended because nobody needs it
}

// run starts the runtime and keeps it until ctx ends. Containers outlive it.
func (n *node) run(ctx context.Context, ready func()) error {
	net, err := n.a.network()
	if err != nil {
		return err
	}
	if err := net.Ensure(ctx); err != nil {
		return fmt.Errorf("pod network: %w", err)
	}
	n.net = net
	images, err := n.a.images(ctx)
	if err != nil {
		return err
	}
	cfg, err := n.a.runtimeConfig(images, net)
	if err != nil {
		return err
	}
	n.changed = make(chan struct{}, 1)
	cfg.Changed = func() {
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
	server, err := runtime.New(cfg)
	if err != nil {
		return err
	}
	return run.With(ctx, func(s *run.Scope) error {
		up := make(chan struct{})
		s.Go("cri", func(ctx context.Context) error { return server.Run(ctx, func() { close(up) }) })
		select {
		case <-up:
		case <-s.Context().Done():
			return nil
		}
		if n.cri, err = cri.Dial(s.Context(), cfg.Socket); err != nil {
			return err
		}
		s.Go("cri client", func(ctx context.Context) error { <-ctx.Done(); return n.cri.Close() })
		n.keeper = n.a.keeper(n.cri)
		n.keeper.Revive = n.visitors == nil // a host comes with any command: `minato start --by-policy` is for it
		s.Go("containers", n.keeper.Run)
		s.Go("local socket", func(ctx context.Context) error {
			return local{images, server.ImageInUse, &n.a.tokens, n.visitors}.run(ctx, n.a.paths.LocalSocket())
		})
		n.a.report("container runtime")
		ready()
		return nil
	})
}

func (a *assembly) network() (*network.Network, error) {
	return network.New(network.Config{
		Bridge: a.id.Bridge, PodCIDR: a.id.nodeCIDR(), ClusterCIDR: a.id.PodCIDR, ServiceCIDR: a.id.ServiceCIDR,
		StateDir: a.paths.network(), Table: a.id.table(), LocalAddrs: []netip.Addr{a.id.DNSIP()}, Log: a.log.With("room", "network"),
	})
}

// images opens the image store and puts the built-in image into it.
func (a *assembly) images(ctx context.Context) (*image.Store, error) {
	st, err := image.Open(image.Config{Dir: a.paths.Images(), HostsDir: a.cfg.Registries, RegistriesFile: a.cfg.RegistriesFile, Log: a.log.With("room", "image"), UserAgent: "minato/" + a.cfg.Version})
	if err != nil {
		return nil, err
	}
	hello, err := embedded("minato-hello")
	if err != nil {
		return nil, err
	}
	fetch := func() ([]byte, error) {
		if _, err := extract(a.paths.bin(), base); err != nil { // the node needs it anyway, and hello is packed against it
			return nil, err
		}
		return hello.unpack(a.paths.bin())
	}
	if _, err := st.EnsureBuiltinOf(ctx, hello.sum, fetch); err != nil {
		return nil, fmt.Errorf("built-in image: %w", err)
	}
	return st, nil
}

func (a *assembly) runtimeConfig(images *image.Store, net *network.Network) (runtime.Config, error) {
	helper, err := a.shimConfig()
	if err != nil {
		return runtime.Config{}, err
	}
	reach, err := failpoint.Parse(os.Getenv(failpoint.Env))
	if err != nil {
		return runtime.Config{}, err
	}
	handlers, err := runtime.CheckHandlers(a.cfg.RuntimeHandlers)
	if err != nil {
		return runtime.Config{}, err
	}
	log := a.log.With("room", "runtime")
	return runtime.Config{
		Root: a.paths.runtime(), RunDir: a.paths.Run + "/runtime", Socket: a.paths.CRISocket(),
		Shim: helper, Images: images, Network: net, Version: a.cfg.Version, Log: log, Reach: reach, Handlers: handlers,
	}, nil
}

// shimConfig says where the shim lives, and unpacks it where it is not yet.
func (a *assembly) shimConfig() (shim.Config, error) {
	helper, err := extract(a.paths.bin(), "minato-shim")
	return shim.Config{Binary: helper, RunDir: a.paths.shim(), Cgroup: a.id.cgroup() + "/shim", Log: a.log.With("room", "runtime")}, err
}

// kubelet runs the node's agent with the node's own identity and mirrors.
func (a *assembly) kubelet(ctx context.Context, p *plane, n *node, ready func()) error {
	if a.cfg.Kubelet != "" {
		return a.otherKubelet(ctx, ready)
	}
	return withViews(ctx, p.client(a.shown(func(b *pki.Bundle) *pki.Pair { return b.Node }), "kubelet/"+a.cfg.Version), a.log, func(s *run.Scope, vs *client.Views) error {
		return a.startKubelet(s, vs, n, trust{a.pki.CA.Pool(), a.shown(func(b *pki.Bundle) *pki.Pair { return b.Kubelet })}, ready)
	})
}

// trust is what the kubelet's own server believes and shows.
type trust struct {
	clients *x509.CertPool
	serving func() *tls.Certificate
}

// startKubelet runs it on mirrors that are read as the node.
func (a *assembly) startKubelet(s *run.Scope, vs *client.Views, n *node, t trust, ready func()) error {
	rec := client.NewRecorder(vs.Client(), a.log, "kubelet", a.id.NodeName)
	reach, err := failpoint.Parse(os.Getenv(failpoint.Env))
	if err != nil {
		return err
	}
	logins, err := a.credentials()
	if err != nil {
		return err
	}
	k, err := kubelet.New(kubelet.Config{
		Credentials: logins,
		NodeName:    a.id.NodeName, Hostname: a.id.NodeName, NodeIPs: []netip.Addr{a.nodeIP},
		RootDir: a.paths.kubelet(), LogDir: a.paths.PodLogs(), ManifestDir: a.paths.Manifests(), CRI: n.cri, RuntimeChanged: n.changed, CgroupRoot: a.id.cgroup() + "/kubepods",
		ClusterDNS: []netip.Addr{a.id.DNSIP()}, ClusterDomain: clusterDomain, ResolvConf: "/etc/resolv.conf",
		Listen:      net.JoinHostPort(a.cfg.BindAddress, strconv.Itoa(a.id.KubeletPort)),
		ServingCert: t.serving, ClientCA: t.clients, PodCIDR: a.id.nodeCIDR().String(), Version: a.cfg.Version, Log: a.log.With("room", "kubelet"), Reach: reach,
		Remember: a.id.Agent(), // in a server's own process the API comes with it
	}, vs.Client(), vs, rec)
	if err != nil {
		return err
	}
	s.Go("events", rec.Run)
	s.Go("kubelet", func(ctx context.Context) error { return k.Run(ctx, ready) })
	return nil
}

// credentials are what the node shows to registries, where upstream's kubelet looks: its own config.json, that of the
// user it runs as, and the credential providers.
func (a *assembly) credentials() ([]credential.Source, error) {
	out := []credential.Source{credential.Docker{Path: filepath.Join(a.paths.kubelet(), "config.json")}}
	if user, err := credential.UserDocker(); err == nil { // a process without a home has none
		out = append(out, user)
	}
	if a.cfg.CredentialConfig != "" {
		p, err := credential.OpenProviders(a.cfg.CredentialConfig, a.cfg.CredentialDir)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
