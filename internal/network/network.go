package network

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
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
}

// New checks cfg and reads the leases; it changes nothing in the kernel.
func New(cfg Config) (*Network, error) { return &Network{cfg: cfg}, nil }

// Ensure makes bridge, gateway address, routes, forwarding and firewall rules what they should be. It may be called
// again at any time.
func (n *Network) Ensure(ctx context.Context) error { return errors.New("network: Ensure is not built yet") }

// Attach gives the namespace in r an eth0 with an address, a default route and lo up, and opens its host ports.
func (n *Network) Attach(ctx context.Context, r Request) (Result, error) {
	return Result{}, errors.New("network: Attach is not built yet")
}

// Detach closes the host ports of sandbox id and frees its address once its link is gone. The link itself goes with
// the namespace. An unknown id is no error.
func (n *Network) Detach(ctx context.Context, id string) error {
	return errors.New("network: Detach is not built yet")
}

// Status returns what sandbox id has, for one that was attached before a restart.
func (n *Network) Status(id string) (Result, bool) { return Result{}, false }

// Sweep detaches every sandbox that alive does not name: what a crash left behind.
func (n *Network) Sweep(ctx context.Context, alive map[string]bool) error {
	return errors.New("network: Sweep is not built yet")
}

// Teardown removes every link, address, route, rule and table that this Network made, and its leases.
func (n *Network) Teardown(ctx context.Context) error {
	return errors.New("network: Teardown is not built yet")
}
