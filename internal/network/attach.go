package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// podLink is the name of the link inside a pod.
const podLink = "eth0"

// Attach gives the namespace in r an eth0 with an address, a default route and lo up, and opens its host ports. It
// returns ErrExhausted or ErrPortTaken where another pod is in the way.
//
// The order is: lease on disk, link, ports. A crash in between leaves a lease that the next Attach of the same id
// takes up where it stopped, and that Sweep takes back otherwise.
func (n *Network) Attach(ctx context.Context, r Request) (Result, error) {
	res, err := n.attach(ctx, r)
	if err != nil {
		return Result{}, fmt.Errorf("attach %s: %w", r.ID, err)
	}
	return res, nil
}

func (n *Network) attach(ctx context.Context, r Request) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	ns, err := netns.GetFromPath(r.Netns)
	if err != nil {
		return Result{}, fmt.Errorf("network namespace %s: %w", r.Netns, err)
	}
	defer ns.Close()
	pod, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return Result{}, fmt.Errorf("network namespace %s: %w", r.Netns, err)
	}
	defer pod.Close()
	l, err := n.reserve(r)
	if err != nil {
		return Result{}, err
	}
	if l, err = n.connect(l, ns, pod); err != nil {
		return Result{}, errors.Join(err, n.Detach(ctx, r.ID))
	}
	if err := n.dress(l, pod); err != nil {
		return Result{}, errors.Join(err, n.Detach(ctx, r.ID))
	}
	if err := n.openPorts(l); err != nil {
		return Result{}, errors.Join(err, n.Detach(ctx, r.ID))
	}
	return n.result(l), nil
}

// reserve returns the lease of r.ID, a new one where it has none.
func (n *Network) reserve(r Request) (lease, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bridge == 0 {
		return lease{}, errors.New("the node's network is not up: Ensure was not called")
	}
	if l, ok := n.leases[r.ID]; ok {
		return l, nil
	}
	ports, err := n.checkPorts(r)
	if err != nil {
		return lease{}, err
	}
	ip, ok := n.pool.pick()
	if !ok {
		return lease{}, fmt.Errorf("%w in %s (%d pods)", ErrExhausted, n.cfg.PodCIDR, len(n.leases))
	}
	mac := r.MAC
	if mac == nil {
		mac = hardwareAddr(ip)
	}
	l := lease{ID: r.ID, IP: ip, MAC: mac.String(), Ports: ports}
	if err := writeLease(n.cfg.StateDir, l); err != nil {
		n.pool.give(ip)
		return lease{}, err
	}
	n.leases[r.ID] = l
	return l, nil
}

// queues of each end of a link. The kernel's own choice is one for each processor, with a directory of files each; what a link
// sends waits in none of them, and is received by the processor that sent it.
const queues = 1

// connect makes the pair of links, the pod's end at once in its namespace. Where the address's old link still lives,
// the lease moves to another address.
func (n *Network) connect(l lease, ns netns.NsHandle, pod *netlink.Handle) (lease, error) {
	for range 64 {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.MasterIndex = linkName(n.cfg.Bridge, l.IP), n.cfg.MTU, n.bridge
		attrs.Flags = net.FlagUp
		attrs.NumTxQueues, attrs.NumRxQueues = queues, queues // the pod's end gets as many
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: podLink, PeerNamespace: netlink.NsFd(ns),
			PeerHardwareAddr: l.hardware(), PeerMTU: uint32(n.cfg.MTU)})
		if err == nil {
			return l, n.hairpin(attrs.Name)
		}
		if !errors.Is(err, unix.EEXIST) {
			return l, fmt.Errorf("link %s: %w", attrs.Name, err)
		}
		if n.connected(l, pod) {
			return l, nil
		}
		if _, err := pod.LinkByName(podLink); err == nil {
			return l, fmt.Errorf("the namespace has an %s already that is not from here", podLink)
		}
		if l, err = n.move(l); err != nil {
			return l, err
		}
	}
	return l, fmt.Errorf("%w: the links of the last pods have not gone yet", ErrExhausted)
}

// hairpin lets the bridge send a frame back by the port it came from. Only hosts that pass bridged frames to nftables
// (net.bridge.bridge-nf-call-iptables) need it, for a pod that reaches itself by a service or host port.
func (n *Network) hairpin(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetHairpin(link, true)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

// connected reports whether the pod's link is the peer of the host's.
func (n *Network) connected(l lease, pod *netlink.Handle) bool {
	host, err := netlink.LinkByName(linkName(n.cfg.Bridge, l.IP))
	if err != nil {
		return false
	}
	peer, err := pod.LinkByName(podLink)
	return err == nil && host.Attrs().ParentIndex == peer.Attrs().Index && peer.Attrs().ParentIndex == host.Attrs().Index
}

// move gives the lease another address. The old one stays taken while its link lives: it is given back, and the pool
// comes round to it last.
func (n *Network) move(l lease) (lease, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ip, ok := n.pool.pick()
	if !ok {
		return l, fmt.Errorf("%w in %s: the links of the last pods have not gone yet", ErrExhausted, n.cfg.PodCIDR)
	}
	n.pool.give(l.IP)
	if l.MAC == hardwareAddr(l.IP).String() {
		l.MAC = hardwareAddr(ip).String()
	}
	l.IP = ip
	n.leases[l.ID] = l
	return l, writeLease(n.cfg.StateDir, l)
}

// dress sets addresses and routes inside the pod. Its address stands alone (/32): the gateway is its only neighbour.
func (n *Network) dress(l lease, pod *netlink.Handle) error {
	lo, err := pod.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	if err := pod.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	eth, err := pod.LinkByName(podLink)
	if err != nil {
		return fmt.Errorf("%s: %w", podLink, err)
	}
	if err := pod.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(l.IP, 32))}); err != nil {
		return fmt.Errorf("address %s: %w", l.IP, err)
	}
	if err := pod.LinkSetUp(eth); err != nil {
		return fmt.Errorf("%s: %w", podLink, err)
	}
	gw, index := gateway(n.cfg.PodCIDR), eth.Attrs().Index
	routes := []netlink.Route{
		{LinkIndex: index, Dst: ipNet(netip.PrefixFrom(gw, 32)), Scope: netlink.SCOPE_LINK},
		{LinkIndex: index, Dst: ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)), Gw: gw.AsSlice()},
	}
	for _, r := range routes {
		if err := pod.RouteReplace(&r); err != nil {
			return fmt.Errorf("route to %s: %w", r.Dst, err)
		}
	}
	return nil
}
