package cluster

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers"
	"minato.dev/minato/internal/dns"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/proxy"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/scheduler"
)

const clusterDomain = "cluster.local"

// withViews runs body with mirrors of c that end after everything that body started.
func withViews(ctx context.Context, c *client.Client, log *slog.Logger, body func(*run.Scope, *client.Views) error) error {
	viewing, stop := context.WithCancel(ctx)
	defer stop()
	vs := client.NewViews(viewing, c, log)
	err := run.With(ctx, func(s *run.Scope) error { return body(s, vs) })
	stop()
	if e := vs.Wait(); err == nil {
		err = e
	}
	return err
}

// minds runs everything that only decides: controllers, scheduler, Service proxy and DNS. They share one set of
// mirrors, read as the controller manager; each writes as itself.
func (a *assembly) minds(ctx context.Context, p *plane, n *node, dnsReady func()) error {
	reader := p.client(a.shown(func(b *pki.Bundle) *pki.Pair { return b.ControllerManager }), "kube-controller-manager/"+a.cfg.Version)
	return withViews(ctx, reader, a.log, func(s *run.Scope, vs *client.Views) error {
		list, err := a.controllers(s, p, vs)
		if err != nil {
			return err
		}
		queues := control.NewMetrics()
		if err := p.metrics.Register(queues); err != nil {
			return err
		}
		s.Go("controllers", func(ctx context.Context) error { return queues.Run(ctx, a.log, list) })
		a.scheduler(s, p, vs)
		proxy, err := a.certs.Client("system:kube-proxy")
		if err != nil {
			return err
		}
		a.traffic(s, vs, n, p.client(proxy.TLS, "kube-proxy/"+a.cfg.Version), "", dnsReady)
		return nil
	})
}

func (a *assembly) controllers(s *run.Scope, p *plane, vs *client.Views) ([]control.Controller, error) {
	var failed error
	list := controllers.All(func(account string) (*client.Views, *client.Recorder) {
		if account == "" {
			return vs, nil
		}
		c, err := p.account(account)
		if err != nil {
			failed = err
			c = vs.Client()
		}
		rec := client.NewRecorder(c, a.log, account, "")
		s.Go("events of "+account, rec.Run)
		return vs.As(c), rec
	}, p.knowledge(), a.log)
	return list, failed
}

func (a *assembly) scheduler(s *run.Scope, p *plane, vs *client.Views) {
	c := p.client(a.shown(func(b *pki.Bundle) *pki.Pair { return b.Scheduler }), "kube-scheduler/"+a.cfg.Version)
	rec := client.NewRecorder(c, a.log, "default-scheduler", a.id.NodeName)
	s.Go("scheduler events", rec.Run)
	s.Go("scheduler", scheduler.New(vs.As(c), rec, a.log.With("room", "scheduler")).Run)
}

// traffic runs what leads a node's packets: Service proxy, routes to other nodes' pods, and DNS for the pods of node
// clients, or all where that is empty. Events are written through c, as the user that upstream's role for proxies is bound
// to, or as the node.
func (a *assembly) traffic(s *run.Scope, vs *client.Views, n *node, c *client.Client, clients string, dnsReady func()) {
	rec := client.NewRecorder(c, a.log, "kube-proxy", a.id.NodeName)
	s.Go("proxy events", rec.Run)
	services := proxy.New(proxy.Config{NodeName: a.id.NodeName, Table: a.id.serviceTable(), ClusterCIDR: a.id.PodCIDR, Bridge: a.id.Bridge,
		Views: vs, Rec: rec, Log: a.log.With("room", "proxy")})
	s.Go("proxy", func(ctx context.Context) error { return services.Run(ctx, func() {}) })
	s.Go("routes", func(ctx context.Context) error { return a.routes(ctx, n.net, vs, rec) })
	names := dns.New(dns.Config{Domain: clusterDomain, Listen: []string{net.JoinHostPort(a.id.DNSIP().String(), "53")}, Node: clients,
		Upstreams: upstreams("/etc/resolv.conf"), Views: vs, Log: a.log.With("room", "dns")})
	s.Go("dns", func(ctx context.Context) error { return names.Run(ctx, dnsReady) })
}

// upstreams are the name servers of the machine. A missing file means that there are none.
func upstreams(path string) (out []string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			out = append(out, net.JoinHostPort(f[1], "53"))
		}
	}
	return out
}
