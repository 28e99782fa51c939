package proxy

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// The sets and maps of the table. Everything that a service needs is elements of these.
const (
	setServices   = "services"      // where a packet for address, protocol, port goes: a chain
	setEndpoints  = "endpoints"     // the endpoint with a number: address and port
	setSticky     = "sticky"        // for services with affinity: from a number to the endpoint's lasting number
	setClosed     = "closed"        // services without endpoints: the chain "refuse" or "ignore"
	setClusterIPs = "cluster-ips"   // addresses of which every other port is refused
	setHairpin    = "hairpin"       // endpoints of this node, who may meet themselves
	setChains     = "chains"        // not in the kernel: the chains that others lead to
	setRanges     = "source-ranges" // services that only some may reach: the chain that lets them pass
)

// vip is what a client connects to. The unspecified address stands for all addresses of the node: a NodePort.
type vip struct {
	addr  netip.Addr
	proto uint8
	port  uint16
}

func (v vip) isNode() bool { return v.addr == netip.IPv4Unspecified() }

// target is an endpoint.
type target struct {
	addr netip.Addr
	port uint16
}

// key names one element of one set. Only the fields that the set has are used.
type key struct {
	set    string
	vip    vip
	index  uint32
	target target
	chain  string
}

// value is what a map has for a key.
type value struct {
	chain  string
	target target
	index  uint32
}

// element is both.
type elements map[key]value

// lasting is a number for t that stays the same while other endpoints come and go. Numbers of lists lie below.
func (t target) lasting() uint32 {
	h := fnv.New32a()
	h.Write(t.bytes())
	return h.Sum32() | 1<<31
}

// localList is where the numbers of the endpoints of this node begin, in services that treat them apart.
const localList = 1 << 16

var protocolNumbers = map[corev1.Protocol]uint8{corev1.ProtocolTCP: unix.IPPROTO_TCP, corev1.ProtocolUDP: unix.IPPROTO_UDP, corev1.ProtocolSCTP: unix.IPPROTO_SCTP}

var protocolNames = map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}

// String is for people and tests.
func (v vip) String() string {
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(v.addr, v.port), protocolNames[v.proto])
}

func (t target) String() string { return netip.AddrPortFrom(t.addr, t.port).String() }

// text shows an element on one line.
func text(k key, v value) string {
	switch k.set {
	case setServices, setClosed, setRanges:
		return fmt.Sprintf("%s %s -> %s", k.set, k.vip, v.chain)
	case setEndpoints:
		if k.index >= 1<<31 {
			return fmt.Sprintf("%s %s %#x -> %s", k.set, k.vip, k.index, v.target)
		}
		if k.index >= localList {
			return fmt.Sprintf("%s %s local %d -> %s", k.set, k.vip, k.index-localList, v.target)
		}
		return fmt.Sprintf("%s %s %d -> %s", k.set, k.vip, k.index, v.target)
	case setSticky:
		return fmt.Sprintf("%s %s %d -> %#x", k.set, k.vip, k.index, v.index)
	case setClusterIPs, setHairpin:
		return fmt.Sprintf("%s %s", k.set, k.target.addr)
	}
	return fmt.Sprintf("%s %s", k.set, k.chain)
}

// bytes is the key as the kernel wants it: each part padded to four bytes.
func (k key) bytes() []byte {
	switch k.set {
	case setServices, setClosed, setRanges:
		return k.vip.bytes()
	case setEndpoints, setSticky:
		return binary.NativeEndian.AppendUint32(k.vip.bytes(), k.index)
	case setHairpin:
		return append(k.target.addr.AsSlice(), k.target.addr.AsSlice()...)
	}
	return k.target.addr.AsSlice()
}

func (v vip) bytes() []byte {
	b := append(v.addr.AsSlice(), v.proto, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, v.port), 0, 0)
}

func (t target) bytes() []byte {
	return append(binary.BigEndian.AppendUint16(t.addr.AsSlice(), t.port), 0, 0)
}
