package network

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
)

// gateway is the first address of the pods' range; the bridge has it.
func gateway(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

// hardwareAddr derives a link's address from its IP address, so that a restart gives the same.
func hardwareAddr(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0x4d, b[0], b[1], b[2], b[3]}
}

// linkName is the host's end of a pod's link: one a bridge and address on the machine. The kernel refuses a second one,
// which is what keeps an address from being given out while its old link lives.
func linkName(bridge string, ip netip.Addr) string {
	b := ip.As4()
	return fmt.Sprintf("%s%08x", linkPrefix(bridge), binary.BigEndian.Uint32(b[:]))
}

// linkPrefix is common to all links of one bridge.
func linkPrefix(bridge string) string {
	h := fnv.New32a()
	h.Write([]byte(bridge))
	return fmt.Sprintf("mn%04x-", h.Sum32()&0xffff)
}

// pool gives out the addresses of a range, each as late as possible again after it was given back.
type pool struct {
	first, last, next uint32
	taken             map[uint32]bool
}

// newPool leaves out the network's own address, the gateway, broadcast and the reserved ones.
func newPool(p netip.Prefix, reserved []netip.Addr) *pool {
	base := number(p.Masked().Addr())
	size := uint32(1) << (32 - p.Bits())
	o := &pool{first: base + 2, last: base + size - 2, next: base + 2, taken: map[uint32]bool{}}
	for _, a := range reserved {
		if p.Contains(a) {
			o.take(a)
		}
	}
	return o
}

func (o *pool) take(a netip.Addr) {
	o.taken[number(a)] = true
	if n := number(a); n >= o.next && n < o.last {
		o.next = n + 1
	}
}

func (o *pool) give(a netip.Addr) { delete(o.taken, number(a)) }

// pick takes the next free address.
func (o *pool) pick() (netip.Addr, bool) {
	for range o.last - o.first + 1 {
		n := o.next
		if o.next++; o.next > o.last {
			o.next = o.first
		}
		if !o.taken[n] {
			o.taken[n] = true
			return address(n), true
		}
	}
	return netip.Addr{}, false
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
