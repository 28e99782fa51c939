package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The table:
//
//	map host-ports     { inet_proto . inet_service : ipv4_addr . inet_service }                host ports on any address
//	map host-ip-ports  { ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }    host ports on one address
//	set hairpin        { ipv4_addr . ipv4_addr }                                               pods that have host ports
//	chain guard        (prerouting, raw)      drop what comes from a pod for 127.0.0.0/8
//	chain prerouting   (nat, dstnat - 5)      to a local address: jump ports
//	chain output       (nat, dstnat - 5)      to a local address: jump ports
//	chain ports                               dnat by the maps
//	chain postrouting  (nat, srcnat)          masquerade: the host's loopback to pods; a pod to itself; pods to outside
//
// Services are looked at before host ports in neither chain: their addresses and ports never overlap with local ones
// except for NodePorts, which the API server keeps apart from host ports by the scheduler's port check.
type table struct {
	t                *nftables.Table
	ports, ipPorts   *nftables.Set
	hairpin          *nftables.Set
	bridge           string
	pods, cluster    netip.Prefix
	portsChain       *nftables.Chain
	prerouting       *nftables.Chain
	output           *nftables.Chain
	postrouting, raw *nftables.Chain
}

func (n *Network) table() *table {
	t := &nftables.Table{Name: n.cfg.Table, Family: nftables.TableFamilyIPv4}
	target := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	before := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 5)
	return &table{
		t: t, bridge: n.cfg.Bridge, pods: n.cfg.PodCIDR, cluster: n.cfg.ClusterCIDR,
		ports: &nftables.Set{Table: t, Name: "host-ports", IsMap: true, Concatenation: true,
			KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService), DataType: target},
		ipPorts: &nftables.Set{Table: t, Name: "host-ip-ports", IsMap: true, Concatenation: true,
			KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService), DataType: target},
		hairpin: &nftables.Set{Table: t, Name: "hairpin", Concatenation: true,
			KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)},
		portsChain: &nftables.Chain{Table: t, Name: "ports"},
		raw: &nftables.Chain{Table: t, Name: "guard", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting,
			Priority: nftables.ChainPriorityRaw},
		prerouting: &nftables.Chain{Table: t, Name: "prerouting", Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPrerouting, Priority: before},
		output: &nftables.Chain{Table: t, Name: "output", Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookOutput, Priority: before},
		postrouting: &nftables.Chain{Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource},
	}
}

// applyTable replaces the whole table in one transaction, with the ports of all leases in it.
func (n *Network) applyTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := n.table()
	c.AddTable(t.t)
	c.DelTable(t.t)
	c.AddTable(t.t)
	for _, s := range []*nftables.Set{t.ports, t.ipPorts, t.hairpin} {
		if err := c.AddSet(s, nil); err != nil {
			return err
		}
	}
	for _, ch := range []*nftables.Chain{t.portsChain, t.raw, t.prerouting, t.output, t.postrouting} {
		c.AddChain(ch)
	}
	for _, r := range t.rules() {
		c.AddRule(r)
	}
	for _, l := range n.leases {
		if err := t.change(c.SetAddElements, l); err != nil {
			return err
		}
	}
	return c.Flush()
}

// change hands the elements of a lease to add or remove.
func (t *table) change(do func(*nftables.Set, []nftables.SetElement) error, l lease) error {
	if len(l.Ports) == 0 {
		return nil
	}
	var any, one []nftables.SetElement
	for _, p := range l.Ports {
		key := append([]byte{protocols[p.Protocol], 0, 0, 0}, port(p.HostPort)...)
		to := append(l.IP.AsSlice(), port(p.ContainerPort)...)
		if p.HostIP.IsValid() {
			one = append(one, nftables.SetElement{Key: append(p.HostIP.AsSlice(), key...), Val: to})
		} else {
			any = append(any, nftables.SetElement{Key: key, Val: to})
		}
	}
	self := []nftables.SetElement{{Key: append(l.IP.AsSlice(), l.IP.AsSlice()...)}}
	var errs []error
	for set, elems := range map[*nftables.Set][]nftables.SetElement{t.ports: any, t.ipPorts: one, t.hairpin: self} {
		if len(elems) > 0 {
			errs = append(errs, do(set, elems))
		}
	}
	return errors.Join(errs...)
}

// port is one padded to the four bytes that each part of a compound key has.
func port(p uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, p), 0, 0) }

// openPorts adds the host ports of l; doing it again changes nothing.
func (n *Network) openPorts(l lease) error { return n.changePorts(l, (*nftables.Conn).SetAddElements) }

// closePorts removes them; those that are gone already are no error.
func (n *Network) closePorts(l lease) error {
	err := n.changePorts(l, (*nftables.Conn).SetDeleteElements)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func (n *Network) changePorts(l lease, do func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) error {
	if len(l.Ports) == 0 {
		return nil
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	add := func(s *nftables.Set, e []nftables.SetElement) error { return do(c, s, e) }
	if err := n.table().change(add, l); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("host ports: %w", err)
	}
	if err := forgetFlows(l); err != nil { // the ports work; only a flow from before may go astray until it times out
		n.log.Warn("old flows of host ports not forgotten", "sandbox", l.ID, "err", err)
	}
	return nil
}

// forgetFlows ends the connection tracker's memory of UDP host ports, which would otherwise send a running flow to
// where the port led before.
func forgetFlows(l lease) error {
	for _, p := range l.Ports {
		if p.Protocol != "udp" {
			continue
		}
		f := &netlink.ConntrackFilter{}
		if err := errors.Join(f.AddProtocol(protocols["udp"]), f.AddPort(netlink.ConntrackOrigDstPort, p.HostPort)); err != nil {
			return err
		}
		if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f); err != nil {
			return fmt.Errorf("forget udp flows of port %d: %w", p.HostPort, err)
		}
	}
	return nil
}

// expressions shared by the rules; register 1 is the first of 16 bytes and 8 its first four in the finer numbering.
func loadDaddr(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
}

func loadSaddr(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
}
