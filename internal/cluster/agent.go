package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
)

// agent is a node of a cluster whose control plane is elsewhere: runtime, kubelet, Service proxy, routes and DNS, and none
// of the rest. It reads and writes the API as the node, over HTTPS.
//
//	token -> authority, client certificate -> Node, its pod range -> serving certificate -> runs
//
// Each step is on the disk before the next begins, so an agent that was killed goes on where it was, and needs the token
// no more once it has its client certificate.
type agent struct {
	*assembly
	own     *pki.Credentials
	way     *remote
	client  *client.Client
	serving atomic.Pointer[tls.Certificate]
}

// isAgent says whether cfg's data directory is, or is to become, that of an agent.
func isAgent(cfg Config) (bool, error) {
	id, err := ReadIdentity(cfg.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return cfg.Join != "", nil
	}
	if err == nil && cfg.Join != "" && !id.Agent() {
		what := "a cluster of its own"
		if id.Provisional {
			what = "containers of `minato run`"
		}
		err = fmt.Errorf("%s holds %s: name another --data-dir to join %s, or remove what is there with `minato down --purge --data-dir %s`", cfg.DataDir, what, cfg.Join, cfg.DataDir)
	}
	return err == nil && id.Agent(), err
}

// runAgent runs an agent until ctx ends.
func runAgent(ctx context.Context, cfg Config, start time.Time, onPhase func(Phase)) error {
	g := &agent{assembly: &assembly{cfg: cfg, log: cfg.Log, start: start, onPhase: onPhase}}
	if err := g.join(ctx); err != nil {
		return err
	}
	for {
		err := g.serve(ctx)
		if !errors.Is(err, errMoved) || ctx.Err() != nil {
			return err
		}
		g.log.Warn("the node begins anew in its new pod range", "err", err)
		g.onPhase = func(Phase) {} // each was told once
	}
}

// serve takes what the server gives the node and runs it until ctx ends, or with errMoved until the server has given it other
// addresses: what has the old ones is taken away by the next serve.
func (g *agent) serve(ctx context.Context) error {
	if err := g.arrive(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(g.paths.Run, 0o711); err != nil {
		return err
	}
	if err := g.keepNetns(); err != nil {
		return err
	}
	g.report("joined")
	return g.run(ctx)
}

func (g *agent) run(ctx context.Context) error {
	n := &node{a: g.assembly}
	return run.Stages(ctx, []run.Stage{
		{Name: "ground", Run: n.run},
		{Name: "parts", Run: func(ctx context.Context, ready func()) error {
			return withViews(ctx, g.client, g.log, func(s *run.Scope, vs *client.Views) error {
				s.Go("memory", run.KeepMemory)
				dns := make(chan struct{})
				err := g.startKubelet(s, vs, n, trust{g.own.Pool(), g.serving.Load}, func() { g.report("kubelet") })
				if err != nil {
					return err
				}
				g.traffic(s, vs, n, g.client, g.id.NodeName, func() { close(dns) })
				s.Go("certificates", g.renew)
				s.Go("settle", func(ctx context.Context) error { return g.settle(ctx, g.client, dns) })
				ready()
				return nil
			})
		}},
	}, nil)
}

// renew asks for new certificates when a third of the old ones' life is left.
func (g *agent) renew(ctx context.Context) error { return renewing(ctx, g.log, g.renewAt, g.renewDue) }

func (g *agent) renewAt() time.Time {
	at := g.own.Client.RenewAt()
	if s := g.own.Serving.RenewAt(); s.Before(at) {
		at = s
	}
	return at
}

func (g *agent) renewDue(ctx context.Context) error {
	now := time.Now()
	if !now.Before(g.own.Client.RenewAt()) {
		if err := g.certifyClient(ctx, g.client); err != nil {
			return err
		}
		g.way.show(g.own.Client)
	}
	if !now.Before(g.own.Serving.RenewAt()) {
		return g.certifyServing(ctx)
	}
	return nil
}
