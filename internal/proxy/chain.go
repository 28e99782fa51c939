package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The chains that do not depend on services.
const (
	chainRefuse = "refuse"
	chainIgnore = "ignore"
)

// chain picks one of count endpoints. Its name says all there is to know, so equal ones are shared by all services:
//
//	cluster-3               a cluster address; clients from outside the cluster are masqueraded
//	external-3, node-3      an outside address or NodePort; every client is masqueraded
//	external-local-3-1      outsiders reach the one endpoint of this node and are seen as who they are; pods and the
//	                        node itself use all three
//	...-sticky-10800        a client returns to its endpoint for so many seconds
type chain struct {
	kind   string
	count  int
	local  int
	sticky int
}

// String is the chain's name.
func (c chain) String() string {
	s := fmt.Sprintf("%s-%d", c.kind, c.count)
	if c.keepsLocal() {
		s += fmt.Sprintf("-%d", c.local)
	}
	if c.sticky > 0 {
		s += fmt.Sprintf("-sticky-%d", c.sticky)
	}
	return s
}

func (c chain) keepsLocal() bool { return strings.HasSuffix(c.kind, "-local") }

// parseChain reads a name again.
func parseChain(name string) chain {
	name, sticky, _ := strings.Cut(name, "-sticky-")
	var c chain
	c.sticky, _ = strconv.Atoi(sticky) // "" is none
	parts := strings.Split(name, "-")
	last := len(parts) - 1
	if len(parts) > 1 && parts[1] == "local" {
		c.local, _ = strconv.Atoi(parts[last])
		last--
	}
	c.count, _ = strconv.Atoi(parts[last])
	c.kind = strings.Join(parts[:last], "-")
	return c
}

// rangesChain names the chain that lets only some sources pass: "from-10.0.0.0/8+192.0.2.0/24".
func rangesChain(ranges []string) string { return rangesPrefix + strings.Join(ranges, "+") }

const rangesPrefix = "from-"

// kernelName is the chain's name in the table, where a list of ranges would be too long.
func kernelName(chain string) string {
	ranges, ok := strings.CutPrefix(chain, rangesPrefix)
	if !ok {
		return chain
	}
	sum := sha256.Sum256([]byte(ranges))
	return rangesPrefix + hex.EncodeToString(sum[:8])
}

// Registers, in the fine numbering of four bytes each. The order makes the keys of the lookups contiguous.
const (
	regClient   = 8  // the client's address
	regAddr     = 9  // what it connects to
	regProto    = 10 //
	regPort     = 11 //
	regIndex    = 12 // the endpoint's number, then, over it,
	regTarget   = 12 // the endpoint's address and port
	regTargetTo = 13 //
	regScratch  = 16
)

// masqueradeMark is the packet mark, upstream's too, of what postrouting has to masquerade.
const masqueradeMark = 0x4000

// rules are the chain's, for one cluster.
func (c chain) rules(cluster netip.Prefix) [][]expr.Any {
	outside := inPrefix(loadSource(regScratch), cluster, false)
	inside := inPrefix(loadSource(regScratch), cluster, true)
	switch {
	case c.kind == "cluster":
		return append([][]expr.Any{join(outside, mark())}, c.pick(nil, c.count, 0)...)
	case !c.keepsLocal():
		return append([][]expr.Any{mark()}, c.pick(nil, c.count, 0)...)
	}
	out := c.pick(inside, c.count, 0)
	out = append(out, join(fromHost(), mark()))
	out = append(out, c.pick(fromHost(), c.count, 0)...)
	return append(out, c.pick(nil, c.local, localList)...)
}

// pick rewrites the destination to one of count endpoints whose numbers begin with first, if the packet matches when.
func (c chain) pick(when []expr.Any, count int, first uint32) [][]expr.Any {
	if count == 0 {
		return nil
	}
	number := []expr.Any{&expr.Numgen{Register: regIndex, Modulus: uint32(count), Type: unix.NFT_NG_RANDOM, Offset: first}}
	rewrite := join([]expr.Any{find(regAddr, regTarget, setEndpoints)}, dnat())
	if c.sticky == 0 {
		return [][]expr.Any{join(when, c.load(), number, rewrite)}
	}
	client := join([]expr.Any{loadSource(regClient)}, c.load())
	return [][]expr.Any{
		join(when, client, []expr.Any{find(regClient, regIndex, setAffinity)}, viaPriority(), c.remember(unix.NFT_DYNSET_OP_UPDATE), rewrite),
		join(when, client, number, []expr.Any{find(regAddr, regIndex, setSticky)}, viaPriority(), c.remember(opDelete), c.remember(unix.NFT_DYNSET_OP_ADD), rewrite),
	}
}

// viaPriority passes the endpoint's lasting number through the packet's queueing priority, which nobody has set yet here
// and forwarding sets anew. The kernel needs no such way round, but the nft tool in use on most machines cannot list a rule
// that looks up what another lookup found, and ends with a failed assertion.
func viaPriority() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: regIndex, SourceRegister: true},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: regIndex}}
}

// find puts what a map has for the key that begins at register from into register to; without such the rule ends.
func find(from, to uint32, set string) expr.Any {
	return &expr.Lookup{SourceRegister: from, DestRegister: to, IsDestRegSet: true, SetName: set}
}

// opDelete is NFT_DYNSET_OP_DELETE, which the unix package lacks.
const opDelete = 2

// remember adds, renews or removes the client's endpoint. An entry that leads to an endpoint that is gone must be removed
// before the new one is added, because adding does not replace.
func (c chain) remember(op uint32) []expr.Any {
	d := &expr.Dynset{SrcRegKey: regClient, SrcRegData: regIndex, SetName: setAffinity, Operation: op}
	if op != opDelete {
		d.Timeout = time.Duration(c.sticky) * time.Second
	}
	return []expr.Any{d}
}

// load puts what the client connects to into its registers.
func (c chain) load() []expr.Any {
	return loadVIP(strings.HasPrefix(c.kind, "node"))
}

func loadVIP(node bool) []expr.Any {
	addr := []expr.Any{&expr.Payload{DestRegister: regAddr, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}}
	if node { // whatever the address is, the key has 0.0.0.0
		addr = append(addr, &expr.Bitwise{SourceRegister: regAddr, DestRegister: regAddr, Len: 4, Mask: make([]byte, 4), Xor: make([]byte, 4)})
	}
	return append(addr, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regProto},
		&expr.Payload{DestRegister: regPort, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
}

func loadSource(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
}

func dnat() []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: regTarget, RegProtoMin: regTargetTo, Specified: true}}
}

// mark sets the masquerade mark and leaves the others.
func mark() []expr.Any { return setMark(masqueradeMark) }

func unmark() []expr.Any { return setMark(0) }

func setMark(bit uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: regScratch},
		&expr.Bitwise{SourceRegister: regScratch, DestRegister: regScratch, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(^uint32(masqueradeMark)), Xor: binaryutil.NativeEndian.PutUint32(bit)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regScratch, SourceRegister: true}}
}

func marked() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: regScratch},
		&expr.Bitwise{SourceRegister: regScratch, DestRegister: regScratch, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(masqueradeMark), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regScratch, Data: binaryutil.NativeEndian.PutUint32(masqueradeMark)}}
}

// inPrefix matches the address that load puts into the scratch register.
func inPrefix(load expr.Any, p netip.Prefix, is bool) []expr.Any {
	op := expr.CmpOpNeq
	if is {
		op = expr.CmpOpEq
	}
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - p.Bits()))
	if p.Bits() == 0 {
		mask = make([]byte, 4)
	}
	return []expr.Any{load, &expr.Bitwise{SourceRegister: regScratch, DestRegister: regScratch, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: regScratch, Data: p.Masked().Addr().AsSlice()}}
}

// fromHost matches packets whose source is an address of the host itself.
func fromHost() []expr.Any {
	return local(&expr.Fib{Register: regScratch, FlagSADDR: true, ResultADDRTYPE: true})
}

// toHost matches packets whose destination is one.
func toHost() []expr.Any {
	return local(&expr.Fib{Register: regScratch, FlagDADDR: true, ResultADDRTYPE: true})
}

func local(f *expr.Fib) []expr.Any {
	return []expr.Any{f, &expr.Cmp{Op: expr.CmpOpEq, Register: regScratch, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)}}
}

func join(parts ...[]expr.Any) []expr.Any {
	var out []expr.Any
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
