package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Peer is another node of the cluster: the range of its pods, and the address by which the node is reached.
type Peer struct {
	Node string
	CIDR netip.Prefix
	Via  netip.Addr
}

// ErrNotOnLink is why a peer's pods cannot be reached: its node is on none of this machine's links, and routers in
// between would not know where pods are. Tunnels are not built.
var ErrNotOnLink = errors.New("the node is not on a link of this machine")

// peerProtocol marks our routes in the kernel, so that those of a node that is gone are found after a restart.
const peerProtocol netlink.RouteProtocol = 77

// SetPeers makes the routes to the other nodes' pods those of peers, and takes away all others that it made. It returns
// the peers that cannot be reached, by the node's name, with why; ErrNotOnLink is one reason.
func (n *Network) SetPeers(_ context.Context, peers []Peer) (failed map[string]error, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	have, err := n.peerRoutes()
	if err != nil {
		return nil, err
	}
	failed = map[string]error{}
	add, gone := planPeers(have, peers)
	for _, r := range gone {
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("network: remove the route of %s: %w", r.Dst, err)
		}
	}
	for _, p := range add {
		if err := n.reach(p); err != nil {
			failed[p.Node] = err
		}
	}
	return failed, nil
}

// planPeers compares the kernel's routes with those that are wanted.
func planPeers(have []netlink.Route, want []Peer) (add []Peer, gone []netlink.Route) {
	kept := map[netip.Prefix]bool{}
	for _, r := range have {
		dst, via := prefixOf(r), addrOf(r.Gw)
		if slices.ContainsFunc(want, func(p Peer) bool { return p.CIDR == dst && p.Via == via }) && !kept[dst] {
			kept[dst] = true
		} else {
			gone = append(gone, r)
		}
	}
	for _, p := range want {
		if !kept[p.CIDR] {
			add = append(add, p)
		}
	}
	return add, gone
}

// reach makes the route to a peer's pods, if the peer is a neighbour.
func (n *Network) reach(p Peer) error {
	ways, err := netlink.RouteGet(p.Via.AsSlice())
	if err != nil && !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) {
		return fmt.Errorf("look for the way to %s: %w", p.Via, err)
	}
	if err != nil || len(ways) == 0 || ways[0].Gw != nil || ways[0].Type != unix.RTN_UNICAST || ways[0].LinkIndex == n.bridge {
		return fmt.Errorf("%s: %w", p.Via, ErrNotOnLink)
	}
	return netlink.RouteReplace(&netlink.Route{LinkIndex: ways[0].LinkIndex, Dst: ipNet(p.CIDR), Gw: p.Via.AsSlice(), Protocol: peerProtocol})
}

// peerRoutes are the routes that SetPeers has made for this cluster.
func (n *Network) peerRoutes() (ours []netlink.Route, err error) {
	all, err := Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Protocol: peerProtocol}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("network: list routes: %w", err)
	}
	for _, r := range all {
		if p := prefixOf(r); p.IsValid() && n.cfg.ClusterCIDR.Contains(p.Addr()) {
			ours = append(ours, r)
		}
	}
	return ours, nil
}

// dropPeers takes all of them away.
func (n *Network) dropPeers() error {
	routes, err := n.peerRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range routes {
		if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("network: remove the route of %s: %w", r.Dst, err))
		}
	}
	return errors.Join(errs...)
}

// FollowPeers tells by a message on the channel, until ctx ends, that SetPeers should be called again: one of its routes is
// gone, with its link for example, or a new route may lead to a peer. The first message says that it listens from now on.
func (n *Network) FollowPeers(ctx context.Context, again chan<- struct{}) error {
	return followRoutes(ctx, netlink.RouteSubscribe, again)
}

// followRoutes listens anew, after a pause, where a subscription ends: the kernel ends it when messages come faster than they
// are taken, and those that were lost are made good by the message that comes first.
func followRoutes(ctx context.Context, subscribe func(chan<- netlink.RouteUpdate, <-chan struct{}) error, again chan<- struct{}) error {
	for {
		if err := followOnce(ctx, subscribe, again); err != nil {
			return fmt.Errorf("network: follow routes: %w", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

func followOnce(ctx context.Context, subscribe func(chan<- netlink.RouteUpdate, <-chan struct{}) error, again chan<- struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the subscription's own goroutine waits for it
	updates := make(chan netlink.RouteUpdate, 16)
	if err := subscribe(updates, ctx.Done()); err != nil {
		return err
	}
	for tell := true; ; {
		if tell {
			select {
			case again <- struct{}{}:
			default: // one is waiting
			}
		}
		u, ok := <-updates
		if !ok {
			return nil
		}
		tell = concerns(u)
	}
}

func concerns(u netlink.RouteUpdate) bool {
	if u.Family != unix.AF_INET {
		return false
	}
	return u.Protocol == peerProtocol && u.Type == unix.RTM_DELROUTE || u.Protocol != peerProtocol && u.Type == unix.RTM_NEWROUTE
}

func prefixOf(r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		return netip.Prefix{}
	}
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(addrOf(r.Dst.IP), bits)
}

func addrOf(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
