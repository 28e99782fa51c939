package network

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The finer register numbers: nftables' register 1 is the four 32-bit registers from 8 on.
const reg32 = 8

func (t *table) rules() []*nftables.Rule {
	rule := func(c *nftables.Chain, parts ...[]expr.Any) *nftables.Rule {
		r := &nftables.Rule{Table: t.t, Chain: c}
		for _, p := range parts {
			r.Exprs = append(r.Exprs, p...)
		}
		return r
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	masquerade := []expr.Any{&expr.Masq{}}
	return []*nftables.Rule{
		rule(t.raw, link(expr.MetaKeyIIFNAME, t.bridge, true), inPrefix(loadDaddr(1), loopback, true),
			[]expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}),
		rule(t.prerouting, localDestination(), jump(t.portsChain)),
		rule(t.output, localDestination(), jump(t.portsChain)),
		rule(t.portsChain, portKey(reg32+1), []expr.Any{loadDaddr(reg32)}, dnatBy(t.ipPorts)),
		rule(t.portsChain, portKey(reg32), dnatBy(t.ports)),
		rule(t.postrouting, link(expr.MetaKeyOIFNAME, t.bridge, true), inPrefix(loadSaddr(1), loopback, true), masquerade),
		rule(t.postrouting, []expr.Any{loadSaddr(reg32), loadDaddr(reg32 + 1),
			&expr.Lookup{SourceRegister: reg32, SetName: t.hairpin.Name}}, masquerade),
		rule(t.postrouting, inPrefix(loadSaddr(1), t.pods, true), inPrefix(loadDaddr(1), t.cluster, false),
			link(expr.MetaKeyOIFNAME, t.bridge, false), masquerade),
	}
}

// link matches the name of the link a packet came by or leaves by.
func link(key expr.MetaKey, name string, is bool) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: operator(is), Register: 1, Data: padded}}
}

// inPrefix matches the address that load puts into register 1.
func inPrefix(load expr.Any, p netip.Prefix, is bool) []expr.Any {
	mask := ipNet(p).Mask
	return []expr.Any{load,
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: operator(is), Register: 1, Data: p.Masked().Addr().AsSlice()}}
}

func operator(is bool) expr.CmpOp {
	if is {
		return expr.CmpOpEq
	}
	return expr.CmpOpNeq
}

// localDestination matches packets to an address of the host itself.
func localDestination() []expr.Any {
	return []expr.Any{&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)}}
}

// portKey loads protocol and destination port into the two 32-bit registers from first on.
func portKey(first uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
		&expr.Payload{DestRegister: first + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}}
}

// dnatBy sends the packet to the address and port that m has for the key in the registers from the first on.
func dnatBy(m *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Lookup{SourceRegister: reg32, DestRegister: reg32, IsDestRegSet: true, SetName: m.Name},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg32, RegProtoMin: reg32 + 1, Specified: true}}
}

func jump(to *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: to.Name}}
}
