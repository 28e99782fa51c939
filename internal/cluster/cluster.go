package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/pki"
	"minato.dev/minato/internal/run"
)

// Phase is a step of the start that was reached.
type Phase struct {
	Name  string        `json:"name"`
	After time.Duration `json:"after"` // since Run was called
	// Ready marks the last one: the node is Ready and the cluster DNS answers.
	Ready bool `json:"ready,omitempty"`
}

// assembly is what the parts of one running cluster share. It is read-only once they run, but for the certificates of a server,
// which are there once its API server is.
type assembly struct {
	cfg    Config
	id     Identity
	paths  Paths
	pki    *pki.Bundle // as it was at the start
	certs  *pki.Kept   // as it is now; of a server
	tokens tokenKeys   // of a server
	nodeIP netip.Addr
	log    *slog.Logger

	start   time.Time
	phases  sync.Mutex
	onPhase func(Phase)
}

func (a *assembly) report(name string) { a.tell(Phase{Name: name, After: time.Since(a.start)}) }

func (a *assembly) tell(p Phase) {
	a.phases.Lock()
	defer a.phases.Unlock()
	a.log.Info("phase reached", "phase", p.Name, "after", p.After)
	a.onPhase(p)
}

// Run runs a whole cluster on cfg.DataDir until ctx ends. Containers keep running after it; the next Run adopts them.
// onPhase is told each phase once. Errors: ErrRunning, a Config error, or that of the first part that failed.
func Run(ctx context.Context, cfg Config, onPhase func(Phase)) error {
	start := time.Now()
	cfg, err := cfg.Complete()
	if err != nil {
		return err
	}
	// Upstream's libraries log through this global, which writes to stderr in a format of its own until it is told otherwise.
	klog.SetSlogLogger(cfg.Log.With("room", "library"))
	if err := CheckDataDir(cfg.DataDir); err != nil {
		return err
	}
	held, err := takeOver(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	defer held.Close()
	agent, err := isAgent(cfg)
	if err != nil {
		return err
	}
	if agent {
		return runAgent(ctx, cfg, start, onPhase)
	}
	a, err := assemble(cfg)
	if err != nil {
		return err
	}
	a.start, a.onPhase = start, onPhase
	l, err := net.Listen("tcp", net.JoinHostPort(cfg.BindAddress, strconv.Itoa(cfg.Port)))
	if err != nil {
		return fmt.Errorf("listen for the API: %w; choose another port with --port", err)
	}
	defer l.Close()
	return a.run(ctx, l)
}

// assemble finds out who and where this cluster is. Its certificates come with the control plane, see certify.
func assemble(cfg Config) (*assembly, error) {
	a, err := prepare(cfg, false)
	if err != nil {
		return nil, err
	}
	a.tokens.dir = a.paths.PKI()
	a.nodeIP, err = nodeIP(cfg, a.id)
	return a, err
}

// certify reads the certificates or makes them, which takes a tenth of a first start and is done beside what needs none.
func (a *assembly) certify() (err error) {
	a.certs, err = pki.Keep(a.paths.PKI(), pki.Names{Node: a.id.NodeName, IPs: []net.IP{a.nodeIP.AsSlice()},
		ServiceIP: a.id.ServiceIP().AsSlice(), ClusterDomain: clusterDomain})
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	a.pki = a.certs.Bundle()
	return a.kubeconfig().WriteFile(a.paths.AdminKubeconfig())
}

// prepare makes what a cluster and a host have in common: the identity and the volatile directory.
func prepare(cfg Config, host bool) (*assembly, error) {
	id, err := ensureIdentity(cfg, host)
	if err != nil {
		return nil, err
	}
	a := &assembly{cfg: cfg, id: id, paths: id.paths(cfg.DataDir), log: cfg.Log, start: time.Now(), onPhase: func(Phase) {}}
	if err := os.MkdirAll(a.paths.Run, 0o711); err != nil {
		return nil, err
	}
	return a, a.keepNetns()
}

func (a *assembly) kubeconfig() pki.Kubeconfig {
	return pki.Kubeconfig{Context: a.id.Context, Server: "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.id.Port)),
		CAPEM: a.pki.CA.CertPEM, Client: a.certs.Bundle().Admin}
}

// run starts the ground (API server and runtime side by side), then what stands on it, and stops in reverse order.
func (a *assembly) run(ctx context.Context, l net.Listener) error {
	p, n := &plane{a: a, metrics: health.NewMetrics()}, &node{a: a}
	return run.Stages(ctx, []run.Stage{
		{Name: "ground", Run: func(ctx context.Context, ready func()) error {
			return both(ctx, ready,
				func(ctx context.Context, ready func()) error { return p.run(ctx, l, ready) },
				n.run)
		}},
		{Name: "parts", Run: func(ctx context.Context, ready func()) error {
			return run.With(ctx, func(s *run.Scope) error {
				dns := make(chan struct{})
				s.Go("minds", func(ctx context.Context) error { return a.minds(ctx, p, n, func() { close(dns) }) })
				s.Go("kubelet", func(ctx context.Context) error { return a.kubelet(ctx, p, n, func() { a.report("kubelet") }) })
				s.Go("certificates", func(ctx context.Context) error { return renewing(ctx, a.log, a.certs.RenewAt, a.renew) })
				s.Go("settle", func(ctx context.Context) error {
					return a.settle(ctx, p.client(a.shown(func(b *pki.Bundle) *pki.Pair { return b.Admin }), "minato/start"), dns)
				})
				ready()
				return nil
			})
		}},
	}, nil)
}

// both runs parts side by side; ready is called when all are.
func both(ctx context.Context, ready func(), parts ...func(context.Context, func()) error) error {
	return run.With(ctx, func(s *run.Scope) error {
		var missing atomic.Int32
		missing.Store(int32(len(parts)))
		for _, part := range parts {
			s.Go("part", func(ctx context.Context) error {
				return part(ctx, func() {
					if missing.Add(-1) == 0 {
						ready()
					}
				})
			})
		}
		return nil
	})
}
