package proxy

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// kernel takes changes all at once or not at all.
type kernel interface {
	// apply makes the changes; whole makes the table anew first.
	apply(changes []change, whole bool) error
	// remove removes the table; one that is not there is no error.
	remove() error
}

// setAffinity remembers the lasting number of the endpoint that a client has; the kernel fills it.
const setAffinity = "affinity"

// setNodeAddrs are the addresses of NodePorts where not all local ones are.
const setNodeAddrs = "node-addrs"

// table is the nftables table:
//
//	map services, endpoints, sticky, closed, source-ranges, affinity; set cluster-ips, hairpin
//	chain ranges       (prerouting, before nat)  services with source ranges: to their chain
//	chain prerouting   (nat, dstnat)             jump dispatch
//	chain output       (nat, dstnat)             jump dispatch
//	chain dispatch                               by @services: address . protocol . port, then NodePorts
//	chain postrouting  (nat, srcnat)             masquerade what is marked, and an endpoint that meets itself
//	chain input, forward, output-filter (filter) services without endpoints, and unknown ports of cluster addresses
type table struct {
	cfg  Config
	t    *nftables.Table
	sets map[string]*nftables.Set
}

func newTable(cfg Config) *table {
	t := &nftables.Table{Name: cfg.Table, Family: nftables.TableFamilyIPv4}
	concat := func(types ...nftables.SetDatatype) nftables.SetDatatype { return nftables.MustConcatSetType(types...) }
	ip, proto, port := nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService
	at := concat(ip, proto, port)
	sets := []*nftables.Set{
		{Name: setServices, IsMap: true, Concatenation: true, KeyType: at, DataType: nftables.TypeVerdict},
		{Name: setClosed, IsMap: true, Concatenation: true, KeyType: at, DataType: nftables.TypeVerdict},
		{Name: setRanges, IsMap: true, Concatenation: true, KeyType: at, DataType: nftables.TypeVerdict},
		{Name: setEndpoints, IsMap: true, Concatenation: true, KeyType: concat(ip, proto, port, nftables.TypeMark), DataType: concat(ip, port)},
		{Name: setSticky, IsMap: true, Concatenation: true, KeyType: concat(ip, proto, port, nftables.TypeMark), DataType: nftables.TypeClassID},
		{Name: setAffinity, IsMap: true, Concatenation: true, Dynamic: true, HasTimeout: true, Size: 65536,
			KeyType: concat(ip, ip, proto, port), DataType: nftables.TypeClassID},
		{Name: setClusterIPs, KeyType: ip},
		{Name: setNodeAddrs, KeyType: ip},
		{Name: setHairpin, Concatenation: true, KeyType: concat(ip, ip)},
	}
	out := &table{cfg: cfg, t: t, sets: map[string]*nftables.Set{}}
	for _, s := range sets {
		s.Table = t
		out.sets[s.Name] = s
	}
	return out
}

// bufferSize is what a transaction of tens of thousands of elements needs.
const bufferSize = 32 << 20

func (t *table) open() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(bufferSize), c.SetWriteBuffer(bufferSize))
	}))
}

func (t *table) remove() error {
	c, err := t.open()
	if err != nil {
		return err
	}
	c.AddTable(t.t) // so that removing one that is not there succeeds
	c.DelTable(t.t)
	return c.Flush()
}

func (t *table) apply(changes []change, whole bool) error {
	c, err := t.open()
	if err != nil {
		return err
	}
	if whole {
		if err := t.skeleton(c); err != nil {
			return err
		}
	}
	var gone []change
	for _, ch := range changes {
		if ch.key.set != setChains {
			continue
		}
		if ch.new == nil {
			gone = append(gone, ch)
		} else {
			t.addChain(c, ch.key.chain)
		}
	}
	if err := t.applyElements(c, changes); err != nil {
		return err
	}
	for _, ch := range gone { // after the elements that led to it
		name := &nftables.Chain{Table: t.t, Name: kernelName(ch.key.chain)}
		c.FlushChain(name)
		c.DelChain(name)
	}
	return c.Flush()
}

// applyElements removes first and adds then, which together change an element, in messages of a bounded size.
func (t *table) applyElements(c *nftables.Conn, changes []change) error {
	gone, come := map[string][]nftables.SetElement{}, map[string][]nftables.SetElement{}
	for _, ch := range changes {
		if ch.key.set == setChains {
			continue
		}
		if ch.old != nil {
			gone[ch.key.set] = append(gone[ch.key.set], element(ch.key, *ch.old))
		}
		if ch.new != nil {
			come[ch.key.set] = append(come[ch.key.set], element(ch.key, *ch.new))
		}
	}
	for name, all := range gone {
		if err := chunks(t.sets[name], all, c.SetDeleteElements); err != nil {
			return err
		}
	}
	for name, all := range come {
		if err := chunks(t.sets[name], all, c.SetAddElements); err != nil {
			return err
		}
	}
	return nil
}

// chunks keeps each message below the 64 KiB of a netlink attribute.
func chunks(s *nftables.Set, all []nftables.SetElement, do func(*nftables.Set, []nftables.SetElement) error) error {
	const most = 400
	for len(all) > 0 {
		n := min(most, len(all))
		if err := do(s, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func element(k key, v value) nftables.SetElement {
	e := nftables.SetElement{Key: k.bytes()}
	switch k.set {
	case setServices, setClosed, setRanges:
		e.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: kernelName(v.chain)}
	case setEndpoints:
		e.Val = v.target.bytes()
	case setSticky:
		e.Val = binary.NativeEndian.AppendUint32(nil, v.index)
	}
	return e
}

// addChain makes a chain from its name.
func (t *table) addChain(c *nftables.Conn, name string) {
	ch := c.AddChain(&nftables.Chain{Table: t.t, Name: kernelName(name)})
	add := func(r []expr.Any) { c.AddRule(&nftables.Rule{Table: t.t, Chain: ch, Exprs: r}) }
	ranges, ok := strings.CutPrefix(name, rangesPrefix)
	if !ok {
		for _, r := range parseChain(name).rules(t.cfg.ClusterCIDR) {
			add(r)
		}
		return
	}
	for r := range strings.SplitSeq(ranges, "+") {
		if p, err := netip.ParsePrefix(r); err == nil {
			add(join(inPrefix(loadSource(regScratch), p, true), verdict(expr.VerdictReturn, "")))
		}
	}
	add(verdict(expr.VerdictDrop, ""))
}
