package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ensure makes bridge, gateway address, routes, forwarding and firewall rules what they should be. It may be called
// again at any time.
func (n *Network) Ensure(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	link, err := n.ensureBridge()
	if err != nil {
		return fmt.Errorf("network: bridge %s: %w", n.cfg.Bridge, err)
	}
	n.bridge = link.Attrs().Index
	if err := n.ensureAddresses(link); err != nil {
		return fmt.Errorf("network: bridge %s: %w", n.cfg.Bridge, err)
	}
	for _, s := range n.sysctls() {
		if err := s.set(); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}
	if err := n.ensureRoute(link); err != nil {
		return fmt.Errorf("network: route of %s: %w", n.cfg.ServiceCIDR, err)
	}
	if err := n.applyTable(); err != nil {
		return fmt.Errorf("network: nftables table %s: %w", n.cfg.Table, err)
	}
	return nil
}

// ensureBridge finds or makes the bridge and brings it up. Its hardware address is fixed, else it would change with its
// ports and the pods' neighbour entries would be wrong for a while.
func (n *Network) ensureBridge() (netlink.Link, error) {
	link, err := netlink.LinkByName(n.cfg.Bridge)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = n.cfg.Bridge, n.cfg.MTU, hardwareAddr(gateway(n.cfg.PodCIDR))
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return nil, err
		}
		link, err = netlink.LinkByName(n.cfg.Bridge)
	}
	if err != nil {
		return nil, err
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("a link of that name exists and is a %s; name another bridge", link.Type())
	}
	if link.Attrs().MTU != n.cfg.MTU {
		if err := netlink.LinkSetMTU(link, n.cfg.MTU); err != nil {
			return nil, err
		}
	}
	return link, netlink.LinkSetUp(link)
}

// ensureAddresses gives the bridge exactly the gateway's and the local addresses. They are single addresses: no route
// to the pods as neighbours of each other, so that all their packets pass the host's rules.
func (n *Network) ensureAddresses(link netlink.Link) error {
	gw := gateway(n.cfg.PodCIDR)
	want := map[netip.Prefix]bool{netip.PrefixFrom(gw, n.cfg.PodCIDR.Bits()): true}
	for _, a := range n.cfg.LocalAddrs {
		want[netip.PrefixFrom(a, a.BitLen())] = true
	}
	have, err := Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(link, unix.AF_INET) })
	if err != nil {
		return err
	}
	for _, a := range have {
		ip, _ := netip.AddrFromSlice(a.IP.To4())
		bits, _ := a.Mask.Size()
		if p := netip.PrefixFrom(ip, bits); want[p] {
			delete(want, p)
		} else if err := netlink.AddrDel(link, &a); err != nil {
			return err
		}
	}
	for p := range want {
		if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
			return fmt.Errorf("address %s: %w", p, err)
		}
	}
	return nil
}

// ensureRoute sends all service addresses to the bridge. The proxy rewrites those of real services before they get
// there; the others go nowhere instead of to the default gateway.
func (n *Network) ensureRoute(link netlink.Link) error {
	return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(n.cfg.ServiceCIDR),
		Scope: netlink.SCOPE_LINK, Src: gateway(n.cfg.PodCIDR).AsSlice()})
}

// sysctl is one kernel setting of this network namespace.
type sysctl struct{ key, value string }

func (n *Network) sysctls() []sysctl {
	link := "net/ipv4/conf/" + n.cfg.Bridge + "/"
	return []sysctl{
		{"net/ipv4/ip_forward", "1"},
		// Pods talk to each other through the host on purpose: it must not teach them the short way.
		{"net/ipv4/conf/all/send_redirects", "0"},
		{link + "send_redirects", "0"},
		// 127.0.0.1:<host port> of the host reaches a pod; the table keeps pods away from the host's loopback.
		{link + "route_localnet", "1"},
		{link + "rp_filter", "2"},
	}
}

func (s sysctl) set() error {
	at := filepath.Join("/proc/sys", s.key)
	have, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(have)) == s.value {
		return nil
	}
	return os.WriteFile(at, []byte(s.value), 0o644)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
