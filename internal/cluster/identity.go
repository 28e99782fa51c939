package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"github.com/vishvananda/netlink"

	"minato.dev/minato/internal/network"
)

// Identity is what a cluster keeps from its first start on, so that several can live on one machine: their links,
// tables, cgroups and ranges are all different.
type Identity struct {
	ID          string       `json:"id"` // 8 hexadecimal digits
	Bridge      string       `json:"bridge"`
	PodCIDR     netip.Prefix `json:"podCIDR"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
	KubeletPort int          `json:"kubeletPort"`
	NodeName    string       `json:"nodeName"`
	Port        int          `json:"port"`
	Context     string       `json:"context"`
	// Server is the API server of an agent, a node that has joined a cluster ("https://10.0.0.1:6443"); empty where the
	// control plane is here.
	Server string `json:"server,omitempty"`
	// Share is the pod range that the cluster has given to an agent; invalid before it has.
	Share netip.Prefix `json:"nodeCIDR,omitzero"`
	// Provisional says that only containers without a cluster have used it: the node's name is still open.
	Provisional bool `json:"provisional,omitempty"`
}

// Derived names and addresses.
func (id Identity) table() string        { return "minato-" + id.ID }
func (id Identity) serviceTable() string { return "minato-svc-" + id.ID }
func (id Identity) cgroup() string       { return "/minato-" + id.ID }

// ServiceIP is the ClusterIP of the Service "kubernetes", DNSIP that of the cluster DNS.
func (id Identity) ServiceIP() netip.Addr { return nth(id.ServiceCIDR, 1) }
func (id Identity) DNSIP() netip.Addr     { return nth(id.ServiceCIDR, 10) }

// Agent reports whether this is a node of a cluster whose control plane is elsewhere.
func (id Identity) Agent() bool { return id.Server != "" }

// nodeCIDR is the node's own share of the pod range: what it was given, or the first /24.
func (id Identity) nodeCIDR() netip.Prefix {
	if id.Share.IsValid() {
		return id.Share
	}
	return netip.PrefixFrom(id.PodCIDR.Addr(), max(24, id.PodCIDR.Bits()))
}

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	return a
}

// ReadIdentity returns the identity in a data directory; errors.Is(err, fs.ErrNotExist) where none was started there.
func ReadIdentity(data string) (Identity, error) {
	var id Identity
	b, err := os.ReadFile(Paths{Data: data}.identity())
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("%s: %w", Paths{Data: data}.identity(), err)
	}
	if !validID.MatchString(id.ID) {
		return id, fmt.Errorf("%s: id %q is not 8 hexadecimal digits: the file is damaged", Paths{Data: data}.identity(), id.ID)
	}
	return id, nil
}

var validID = regexp.MustCompile(`^[0-9a-f]{8}$`)

// ensureIdentity reads the identity, or makes one whose ranges nothing on this machine uses. What the user says now
// wins over what was kept, but a range cannot change once objects have addresses from it.
func ensureIdentity(c Config, host bool) (id Identity, err error) {
	err = claiming(func(others map[string]claim) error {
		if id, err = ReadIdentity(c.DataDir); errors.Is(err, fs.ErrNotExist) {
			id, err = newIdentity(c, others)
			id.Provisional = true
		}
		if err != nil {
			return err
		}
		if !host {
			if err = id.update(c, others); err != nil {
				return err
			}
		}
		return errors.Join(id.claim(), writeJSON(Paths{Data: c.DataDir}.identity(), id))
	})
	return id, err
}

// update takes in what the user says now.
func (id *Identity) update(c Config, others map[string]claim) (err error) {
	if id.Provisional {
		id.NodeName, id.Provisional = c.NodeName, false
	}
	for _, r := range []struct{ flag, want, have string }{
		{"--pod-cidr", c.PodCIDR, id.PodCIDR.String()}, {"--service-cidr", c.ServiceCIDR, id.ServiceCIDR.String()},
		{"--node-name", c.NodeName, id.NodeName},
	} {
		if r.want != "" && r.want != r.have {
			return fmt.Errorf("%s %s: the cluster in %s was made with %s; keep that, or make a new cluster in another --data-dir", r.flag, r.want, c.DataDir, r.have)
		}
	}
	id.Port = c.Port
	if c.Context != "" {
		id.Context = c.Context
	}
	taken := !portFree(c.BindAddress, id.KubeletPort)
	for other, o := range others {
		taken = taken || other != id.ID && o.KubeletPort == id.KubeletPort
	}
	if taken {
		if id.KubeletPort, err = freePort(c.BindAddress); err != nil {
			return err
		}
	}
	return nil
}

func freshIdentity(node string) (Identity, error) {
	raw := make([]byte, 4)
	_, err := rand.Read(raw)
	return Identity{ID: hex.EncodeToString(raw), NodeName: node, KubeletPort: 10250}, err
}

func newIdentity(c Config, others map[string]claim) (Identity, error) {
	id, err := freshIdentity(c.NodeName)
	if err != nil {
		return id, err
	}
	used, err := usedRanges()
	if err != nil {
		return id, err
	}
	bridges := map[string]bool{}
	for _, o := range others {
		used = append(used, o.PodCIDR, o.ServiceCIDR)
		bridges[o.Bridge] = true
	}
	number := 0
	if id.PodCIDR, number, err = choose(c.PodCIDR, "pod", podRanges(), used); err != nil {
		return id, err
	}
	if id.ServiceCIDR, _, err = choose(c.ServiceCIDR, "service", serviceRanges(), append(used, id.PodCIDR)); err != nil {
		return id, err
	}
	id.Bridge, id.Context = "minato0", "minato"
	if number > 0 || bridges[id.Bridge] || linkExists(id.Bridge) || c.DataDir != DefaultDataDir {
		id.Bridge, id.Context = "mnt"+id.ID, "minato-"+id.ID
	}
	return id, nil
}

// podRanges and serviceRanges are what is tried in order: upstream's customary ranges first.
func podRanges() (out []netip.Prefix) {
	for i := range 12 {
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(244 + i), 0, 0}), 16))
	}
	return out
}

func serviceRanges() []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}
	for i := range 16 {
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(112 + i), 0, 0}), 16))
	}
	return out
}

// choose returns the wanted range, or the first candidate that overlaps nothing in use, and its number.
func choose(want, what string, candidates, used []netip.Prefix) (netip.Prefix, int, error) {
	if want != "" {
		p, err := netip.ParsePrefix(want)
		if err != nil {
			return p, 0, fmt.Errorf("%s range %q: %w", what, want, err)
		}
		candidates = []netip.Prefix{p}
	}
	for i, p := range candidates {
		if !overlapsAny(p, used) {
			return p, i, nil
		}
	}
	return netip.Prefix{}, 0, fmt.Errorf("no free %s range: %v overlap addresses or routes of this machine; name one with --%s-cidr", what, candidates, what)
}

func overlapsAny(p netip.Prefix, used []netip.Prefix) bool {
	for _, u := range used {
		if p.Overlaps(u) {
			return true
		}
	}
	return false
}

// usedRanges are the ranges of this machine's addresses and routes, default routes excepted.
func usedRanges() (out []netip.Prefix, err error) {
	addrs, err := network.Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		out = appendNet(out, a.IPNet)
	}
	routes, err := network.Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		out = appendNet(out, r.Dst)
	}
	return out, nil
}

func appendNet(out []netip.Prefix, n *net.IPNet) []netip.Prefix {
	if n == nil {
		return out
	}
	a, ok := netip.AddrFromSlice(n.IP.To4())
	bits, _ := n.Mask.Size()
	if !ok || bits == 0 {
		return out
	}
	return append(out, netip.PrefixFrom(a, bits).Masked())
}

func linkExists(name string) bool {
	_, err := netlink.LinkByName(name)
	return err == nil
}

func portFree(addr string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(addr, fmt.Sprint(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func freePort(addr string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// writeJSON replaces a file so that a crash leaves the old or the new one.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'), 0o600)
}

func writeFile(path string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
