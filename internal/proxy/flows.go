package proxy

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// flows forgets the connection tracker's entries that changes made wrong.
type flows interface {
	forget(changes []change, now *state) error
}

// conntrack does it in the kernel. Only UDP needs it: a client that goes on sending from one port keeps an entry alive
// that leads to an endpoint that is gone, or to nowhere. TCP ends by itself.
type conntrack struct{}

func (conntrack) forget(changes []change, now *state) error {
	f := stale{vips: map[vip]bool{}, good: map[vip]map[target]bool{}}
	for _, c := range changes {
		if c.key.set != setEndpoints && c.key.set != setClosed || c.key.vip.proto != unix.IPPROTO_UDP {
			continue
		}
		f.vips[c.key.vip] = true
	}
	if len(f.vips) == 0 {
		return nil
	}
	for k := range now.wanted {
		if k.set == setEndpoints && f.vips[k.vip] {
			if f.good[k.vip] == nil {
				f.good[k.vip] = map[target]bool{}
			}
			f.good[k.vip][now.want(k).target] = true
		}
	}
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f)
	return err
}

// stale matches the flows of the changed services whose answers come from no endpoint of theirs.
type stale struct {
	vips map[vip]bool
	good map[vip]map[target]bool
}

var _ netlink.CustomConntrackFilter = stale{}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s stale) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, ok := netip.AddrFromSlice(flow.Forward.DstIP.To4())
	if !ok {
		return false
	}
	from, ok := netip.AddrFromSlice(flow.Reverse.SrcIP.To4())
	if !ok {
		return false
	}
	v := vip{to, unix.IPPROTO_UDP, flow.Forward.DstPort}
	if !s.vips[v] {
		if v.addr = netip.IPv4Unspecified(); !s.vips[v] {
			return false
		}
	}
	return !s.good[v][target{from, flow.Reverse.SrcPort}]
}
