package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Config says what one node's pod network is made of.
type Config struct {
	Bridge      string       // link that all pods hang on, "minato0"
	PodCIDR     netip.Prefix // this node's own range; its first address is the gateway
	ClusterCIDR netip.Prefix // all nodes' pods; traffic inside is not masqueraded
	ServiceCIDR netip.Prefix // routed to the bridge so that a service address never leaves by another link
	MTU         int          // 0: 1500
	StateDir    string       // holds the address leases, one file a pod
	Table       string       // nftables table, "minato"
	LocalAddrs  []netip.Addr // further addresses that the host itself answers, the cluster DNS for one
	Log         *slog.Logger
}

// PortMapping opens a port of the host for a pod.
type PortMapping struct {
	Protocol      string     // "tcp", "udp" or "sctp", in any case
	HostIP        netip.Addr // invalid or unspecified: every address of the host
	HostPort      uint16
	ContainerPort uint16
}

// Request asks for a pod's network.
type Request struct {
	ID        string // the sandbox; asking again with the same ID gives the same answer
	Netns     string // path of the pinned network namespace
	HostPorts []PortMapping
	MAC       net.HardwareAddr // nil: derived from the address
}

// Result is what the pod got.
type Result struct {
	IPs     []netip.Addr
	Gateway netip.Addr
	MAC     net.HardwareAddr
}

// ErrExhausted is returned by Attach when the node's range has no free address.
var ErrExhausted = errors.New("no free pod address")

// ErrPortTaken is returned by Attach when another pod has the host port.
var ErrPortTaken = errors.New("host port is taken")

// Network is one node's pod network.
type Network struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex
	leases map[string]lease     // by sandbox id
	ended  map[string]time.Time // links whose lease was given back, and when, see SweepLinks
	pool   *pool
	bridge int // link index, 0 before Ensure
}

// New checks cfg and reads the leases; it changes nothing in the kernel.
func New(cfg Config) (*Network, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	n := &Network{cfg: cfg, log: cfg.Log, ended: map[string]time.Time{}, pool: newPool(cfg.PodCIDR, cfg.LocalAddrs)}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.cfg.MTU == 0 {
		n.cfg.MTU = 1500
	}
	var err error
	if n.leases, err = readLeases(cfg.StateDir, n.log); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	for _, l := range n.leases {
		n.pool.take(l.IP)
	}
	return n, nil
}

func (c Config) check() error {
	if c.Bridge == "" || len(c.Bridge) > 15 {
		return fmt.Errorf("bridge name %q: 1 to 15 letters are needed", c.Bridge)
	}
	if c.Table == "" || c.StateDir == "" {
		return errors.New("table and state directory must be named")
	}
	for what, p := range map[string]netip.Prefix{"pod": c.PodCIDR, "cluster": c.ClusterCIDR, "service": c.ServiceCIDR} {
		if !p.IsValid() || !p.Addr().Is4() {
			return fmt.Errorf("%s range %q: an IPv4 range is needed (IPv6 is not built yet)", what, p)
		}
	}
	if c.PodCIDR.Bits() > 30 {
		return fmt.Errorf("pod range %s: too small for a gateway and a pod", c.PodCIDR)
	}
	return nil
}

// Status returns what sandbox id has, for one that was attached before a restart.
func (n *Network) Status(id string) (Result, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.leases[id]
	if !ok {
		return Result{}, false
	}
	return n.result(l), true
}

func (n *Network) result(l lease) Result {
	return Result{IPs: []netip.Addr{l.IP}, Gateway: gateway(n.cfg.PodCIDR), MAC: l.hardware()}
}

// Detach closes the host ports of sandbox id and frees its address, which is not given out again while its old link
// lives. The link itself goes with the namespace, or by SweepLinks where that does not end. An unknown id is no error.
func (n *Network) Detach(ctx context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.leases[id]
	if !ok {
		return nil
	}
	if err := n.closePorts(l); err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	if err := dropLease(n.cfg.StateDir, id); err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	delete(n.leases, id)
	n.ended[linkName(n.cfg.Bridge, l.IP)] = time.Now()
	n.pool.give(l.IP)
	return nil
}
