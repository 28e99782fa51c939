package proxy

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// skeleton replaces the table by one without services.
func (t *table) skeleton(c *nftables.Conn) error {
	c.AddTable(t.t)
	c.DelTable(t.t)
	c.AddTable(t.t)
	for _, name := range []string{setServices, setClosed, setRanges, setEndpoints, setSticky, setAffinity, setClusterIPs, setHairpin} {
		if err := c.AddSet(t.sets[name], nil); err != nil {
			return err
		}
	}
	if err := t.nodeAddrs(c); err != nil {
		return err
	}
	t.add(c, &nftables.Chain{Name: chainRefuse}, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: portUnreachable}})
	t.add(c, &nftables.Chain{Name: chainIgnore}, verdict(expr.VerdictDrop, ""))
	t.add(c, &nftables.Chain{Name: "dispatch"}, to(setServices, false), join(t.toNodePort(), to(setServices, true)))
	t.addNAT(c)
	t.addFilters(c)
	return nil
}

// portUnreachable is the ICMP code that clients see as "connection refused".
const portUnreachable = 3

func (t *table) nodeAddrs(c *nftables.Conn) error {
	if t.cfg.NodeAddrs == nil {
		return nil
	}
	if err := c.AddSet(t.sets[setNodeAddrs], nil); err != nil {
		return err
	}
	var all []nftables.SetElement
	for _, a := range t.cfg.NodeAddrs() {
		if a.Is4() {
			all = append(all, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	return chunks(t.sets[setNodeAddrs], all, c.SetAddElements)
}

// toNodePort matches packets to an address on which NodePorts answer.
func (t *table) toNodePort() []expr.Any {
	if t.cfg.NodeAddrs == nil {
		return toHost()
	}
	return []expr.Any{loadDestination(regScratch), &expr.Lookup{SourceRegister: regScratch, SetName: setNodeAddrs}}
}

func (t *table) addNAT(c *nftables.Conn) {
	nat := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
		return &nftables.Chain{Name: name, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: priority}
	}
	dispatch := verdict(expr.VerdictJump, "dispatch")
	t.add(c, nat("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest), dispatch)
	t.add(c, nat("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest), dispatch)
	t.add(c, nat("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource),
		join(marked(), unmark(), []expr.Any{&expr.Masq{}}),
		join([]expr.Any{loadSource(regClient), loadDestination(regAddr), &expr.Lookup{SourceRegister: regClient, SetName: setHairpin}}, []expr.Any{&expr.Masq{}}))
}

// addFilters adds what only new connections that no rule rewrote reach.
func (t *table) addFilters(c *nftables.Conn) {
	filter := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
		return &nftables.Chain{Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority}
	}
	before := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 10)
	t.add(c, filter("ranges", nftables.ChainHookPrerouting, before), join(isNew(), to(setRanges, false)))
	closed := join(isNew(), to(setClosed, false))
	unknown := join(isNew(), []expr.Any{loadDestination(regScratch), &expr.Lookup{SourceRegister: regScratch, SetName: setClusterIPs}},
		verdict(expr.VerdictGoto, chainRefuse))
	t.add(c, filter("forward", nftables.ChainHookForward, nftables.ChainPriorityFilter), closed, unknown)
	t.add(c, filter("output-filter", nftables.ChainHookOutput, nftables.ChainPriorityFilter), closed, unknown)
	t.add(c, filter("input", nftables.ChainHookInput, nftables.ChainPriorityFilter), closed, join(isNew(), t.toNodePort(), to(setClosed, true)))
}

func (t *table) add(c *nftables.Conn, ch *nftables.Chain, rules ...[]expr.Any) {
	ch.Table = t.t
	c.AddChain(ch)
	for _, r := range rules {
		c.AddRule(&nftables.Rule{Table: t.t, Chain: ch, Exprs: r})
	}
}

// to looks the packet's destination up in a map of chains.
func to(set string, node bool) []expr.Any {
	return append(loadVIP(node), &expr.Lookup{SourceRegister: regAddr, DestRegister: 0, IsDestRegSet: true, SetName: set})
}

func loadDestination(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
}

func isNew() []expr.Any {
	bit := []byte{byte(expr.CtStateBitNEW), 0, 0, 0}
	return []expr.Any{&expr.Ct{Register: regScratch, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: regScratch, DestRegister: regScratch, Len: 4, Mask: bit, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: regScratch, Data: make([]byte, 4)}}
}

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}
