// Package proxy makes Services work on one node: it turns Services and EndpointSlices into one nftables table.
//
// The cluster assembly runs one Proxy a node. What a service needs is computed without touching anything (compile.go,
// endpoints.go), compared with what other services and earlier rounds asked for (state.go), and only the differences
// are handed to the kernel in one transaction (apply.go). Nothing polls: changes of the API wake it, and a burst of
// them becomes one transaction. Run must be called once; nothing else is for concurrent use.
//
// The table needs no chain or rule for a service: a service is a handful of map elements, and chains exist only for
// each distinct number of endpoints (chain.go draws them). To test against it, run it in a network namespace; the
// compiler's tests are texts with services in YAML and the resulting elements.
package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// Config says for which node the proxy works and where it reads and writes.
type Config struct {
	NodeName    string
	Table       string       // nftables table, "minato-services"; one a cluster on the machine
	ClusterCIDR netip.Prefix // all pods of the cluster
	// NodeAddrs returns the addresses on which NodePorts answer, asked once; nil: every local address.
	NodeAddrs func() []netip.Addr
	// Bridge is the pods' link on this node ("minato0"). Cluster addresses that it holds, the cluster DNS's for one, are
	// answered by the host itself, so services on them are left alone.
	Bridge string
	Views  *client.Views
	Rec    *client.Recorder // for events on services; nil: only the log tells
	Log    *slog.Logger
}

// Proxy keeps one table current.
type Proxy struct {
	cfg    Config
	log    *slog.Logger
	kernel kernel
	state  *state
	flows  flows
	health *health
	own    map[netip.Addr]bool    // addresses of the bridge
	told   map[serviceName]string // what of a service was said to be left out

	mu    sync.Mutex
	dirty map[serviceName]bool
	node  bool // the node's own labels changed
	wake  chan struct{}
}

// serviceName is namespace/name.
type serviceName struct{ ns, name string }

// New returns a Proxy; Run does the work.
func New(cfg Config) *Proxy {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Proxy{cfg: cfg, log: cfg.Log, kernel: newTable(cfg), state: newState(), flows: conntrack{},
		dirty: map[serviceName]bool{}, told: map[serviceName]string{}, wake: make(chan struct{}, 1)}
}

// settle is how long a change waits for others to join it in one transaction.
const settle = 2 * time.Millisecond

// bySlice is the index of EndpointSlices by their service.
const bySlice = "proxy.service"

type views struct {
	services *client.View[*corev1.Service]
	slices   *client.View[*discoveryv1.EndpointSlice]
	nodes    *client.View[*corev1.Node]
}

// Run follows Services and EndpointSlices until ctx ends, and calls ready once when the table first holds what the
// API says. The table stays in the kernel when Run ends, so that services live through a restart; Teardown removes it.
func (p *Proxy) Run(ctx context.Context, ready func()) error {
	return run.With(ctx, func(s *run.Scope) error {
		ctx := s.Context()
		p.health = newHealth(s, p.log)
		var err error
		if p.own, err = addrsOf(p.cfg.Bridge); err != nil {
			return fmt.Errorf("proxy: addresses of %s: %w", p.cfg.Bridge, err)
		}
		v := views{client.ViewOf(p.cfg.Views, client.Services), client.ViewOf(p.cfg.Views, client.EndpointSlices),
			client.SelectedViewOf(p.cfg.Views, client.Nodes, metav1.ListOptions{
				FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, p.cfg.NodeName).String()})}
		p.watch(v)
		for _, w := range []func(context.Context) error{v.services.WaitSynced, v.slices.WaitSynced, v.nodes.WaitSynced} {
			if err := w(ctx); err != nil {
				return err
			}
		}
		return p.loop(ctx, v, ready)
	})
}

// watch notes what changes.
func (p *Proxy) watch(v views) {
	v.slices.Index(bySlice, func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	v.services.OnChange(func(old, new *corev1.Service) {
		s := newest(old, new)
		p.note(serviceName{s.Namespace, s.Name})
	})
	v.slices.OnChange(func(old, new *discoveryv1.EndpointSlice) {
		for _, s := range []*discoveryv1.EndpointSlice{old, new} {
			if s != nil {
				p.note(serviceName{s.Namespace, s.Labels[discoveryv1.LabelServiceName]})
			}
		}
	})
	v.nodes.OnChange(func(old, new *corev1.Node) {
		if old == nil || new == nil || old.Labels[corev1.LabelTopologyZone] != new.Labels[corev1.LabelTopologyZone] {
			p.noteNode()
		}
	})
}

func newest(old, new *corev1.Service) *corev1.Service {
	if new != nil {
		return new
	}
	return old
}

func (p *Proxy) note(n serviceName) {
	p.mu.Lock()
	p.dirty[n] = true
	p.mu.Unlock()
	p.poke()
}

func (p *Proxy) noteNode() {
	p.mu.Lock()
	p.node = true
	p.mu.Unlock()
	p.poke()
}

func (p *Proxy) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns what changed since it was last asked.
func (p *Proxy) take() (dirty map[serviceName]bool, node bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dirty, node = p.dirty, p.node
	p.dirty, p.node = map[serviceName]bool{}, false
	return dirty, node
}

// loop brings the table in order at start and after each burst of changes. Where the kernel refuses a difference,
// which it does when somebody else emptied the table, the whole table is written anew.
func (p *Proxy) loop(ctx context.Context, v views, ready func()) error {
	const first, most = 200 * time.Millisecond, 30 * time.Second
	whole, pause := true, first
	for {
		err := p.round(v, whole)
		switch {
		case err == nil && ready != nil:
			ready()
			ready = nil
			fallthrough
		case err == nil:
			whole, pause = false, first
		case !whole:
			p.log.Warn("service table differs from what it should be, writing it anew", "err", err)
			whole = true
			continue
		default:
			p.log.Error("service table not written", "err", err, "pause", pause)
			if err := wait(ctx, pause, p.wake); err != nil {
				return nil
			}
			pause = min(2*pause, most)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		if err := wait(ctx, settle, nil); err != nil {
			return nil
		}
	}
}

// wait sleeps, or until early, if there is one, has something.
func wait(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// round compiles the changed services and applies the difference, or everything.
func (p *Proxy) round(v views, whole bool) error {
	dirty, node := p.take()
	here := p.locate(v)
	if node {
		for _, s := range v.services.List("", nil) {
			dirty[serviceName{s.Namespace, s.Name}] = true
		}
	}
	for n := range dirty {
		s, _ := v.services.Get(n.ns, n.name)
		eps := v.slices.ByIndex(bySlice, n.ns+"/"+n.name)
		p.tell(n, s, eps)
		compiled := compile(s, eps, here)
		p.state.replace(n, compiled.elements)
		p.health.set(n, compiled.health)
	}
	changes := p.state.changes()
	if whole {
		changes = p.state.everything()
	}
	if len(changes) == 0 && !whole {
		return nil
	}
	if err := p.kernel.apply(changes, whole); err != nil {
		return err
	}
	p.state.applied(whole)
	if err := p.flows.forget(changes, p.state); err != nil {
		p.log.Warn("old UDP flows not forgotten", "err", err)
	}
	return nil
}

// locate says where this node is.
func (p *Proxy) locate(v views) place {
	here := place{node: p.cfg.NodeName, skip: p.own}
	if n, ok := v.nodes.Get("", p.cfg.NodeName); ok {
		here.zone = n.Labels[corev1.LabelTopologyZone]
	}
	return here
}

// addrsOf returns the addresses of a link; "" has none.
func addrsOf(link string) (map[netip.Addr]bool, error) {
	out := map[netip.Addr]bool{}
	if link == "" {
		return out, nil
	}
	l, err := net.InterfaceByName(link)
	if err != nil {
		return nil, err
	}
	addrs, err := l.Addrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out[p.Addr()] = true
		}
	}
	return out, nil
}

// Teardown removes the table.
func (p *Proxy) Teardown(ctx context.Context) error {
	if err := p.kernel.remove(); err != nil {
		return fmt.Errorf("proxy: remove table %s: %w", p.cfg.Table, err)
	}
	return nil
}
