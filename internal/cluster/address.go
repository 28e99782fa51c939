package cluster

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"minato.dev/minato/internal/network"
)

// nodeIP is the address that the node is known by: the one that was asked for, else the one on the link of the default
// route, else any other global one, else the bridge's own, which always works on a machine without a network.
func nodeIP(c Config, id Identity) (netip.Addr, error) {
	if c.NodeIP != "" {
		return netip.ParseAddr(c.NodeIP)
	}
	links, err := network.Dump(netlink.LinkList)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list links: %w", err)
	}
	out := defaultLink()
	var other netip.Addr
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagUp == 0 || a.Flags&net.FlagLoopback != 0 || a.Name == id.Bridge || l.Type() == "bridge" || l.Type() == "veth" && a.MasterIndex != 0 {
			continue
		}
		addrs, err := network.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
		if err != nil {
			return netip.Addr{}, fmt.Errorf("list addresses of %s: %w", a.Name, err)
		}
		for _, addr := range addrs {
			ip, ok := netip.AddrFromSlice(addr.IP.To4())
			if !ok || !ip.IsGlobalUnicast() {
				continue
			}
			if a.Index == out {
				return ip, nil
			}
			if !other.IsValid() {
				other = ip
			}
		}
	}
	if other.IsValid() {
		return other, nil
	}
	return id.nodeCIDR().Addr().Next(), nil
}

func defaultLink() int {
	routes, err := network.Dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	})
	if err != nil || len(routes) == 0 {
		return -1
	}
	return routes[0].LinkIndex
}
