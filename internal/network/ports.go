package network

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// protocols are the ones a host port can have.
var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// checkPorts completes the mappings of r and refuses one that another sandbox has; the caller holds mu.
func (n *Network) checkPorts(r Request) ([]PortMapping, error) {
	var out []PortMapping
	for _, p := range r.HostPorts {
		if p.HostPort == 0 {
			continue // a container port that only says what the image listens on
		}
		p.Protocol = strings.ToLower(p.Protocol)
		if p.Protocol == "" {
			p.Protocol = "tcp"
		}
		if protocols[p.Protocol] == 0 {
			return nil, fmt.Errorf("host port %d: protocol %q: tcp, udp or sctp is needed", p.HostPort, p.Protocol)
		}
		if p.HostIP.IsValid() && p.HostIP.IsUnspecified() {
			p.HostIP = netip.Addr{}
		}
		if p.HostIP.IsValid() && !p.HostIP.Is4() {
			return nil, fmt.Errorf("host port %d: host address %s: only IPv4 is built yet", p.HostPort, p.HostIP)
		}
		for _, l := range n.leases {
			for _, q := range l.Ports {
				if p.clashes(q) {
					return nil, fmt.Errorf("%w: %s %s by sandbox %s", ErrPortTaken, p.Protocol, p.host(), l.ID)
				}
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func (p PortMapping) clashes(q PortMapping) bool {
	return p.Protocol == q.Protocol && p.HostPort == q.HostPort && (!p.HostIP.IsValid() || !q.HostIP.IsValid() || p.HostIP == q.HostIP)
}

func (p PortMapping) host() string {
	ip := p.HostIP
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, p.HostPort).String()
}
