package allocate

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// Range is an IPv4 range that ClusterIPs come from. Its network's and its broadcast address belong to nobody.
type Range struct {
	prefix      netip.Prefix
	first, size uint32 // the usable addresses
	static      uint32 // how many of the lowest are kept for those who ask by name
}

// NewRange is the range of an IPv4 prefix.
func NewRange(p netip.Prefix) Range {
	p = p.Masked()
	r := Range{prefix: p, first: value(p.Addr()) + 1}
	if bits := p.Bits(); bits < 31 {
		all := uint64(1) << (32 - bits)
		r.size = uint32(min(all, 1<<31) - 2)
		r.static = uint32(Static(int(min(all, 1<<31)), 16, 256, 16))
	}
	return r
}

// Network is the range's own address.
func (r Range) Network() netip.Addr { return r.prefix.Addr() }

// String is the range in CIDR notation.
func (r Range) String() string { return r.prefix.String() }

// Has says whether a can be given away.
func (r Range) Has(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	n := value(a) - r.first
	return n < r.size
}

// Search yields all addresses, those of the upper part first, each part from a place that random chooses: random returns a
// number below n.
func (r Range) Search(random func(n uint32) uint32) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, part := range [2][2]uint32{{r.static, r.size}, {0, r.static}} {
			n := part[1] - part[0]
			if part[1] <= part[0] {
				continue
			}
			start := random(n)
			for i := range n {
				at := part[0] + uint32((uint64(start)+uint64(i))%uint64(n))
				if !yield(address(r.first + at)) {
					return
				}
			}
		}
	}
}

func value(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}
