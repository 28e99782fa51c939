package network

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func TestPeers(t *testing.T) {
	n := start(t, config(t))
	uplink(t)
	near := Peer{"near", netip.MustParsePrefix("10.244.1.0/24"), netip.MustParseAddr("192.168.77.2")}
	moved := Peer{"near", near.CIDR, netip.MustParseAddr("192.168.77.3")}
	far := Peer{"far", netip.MustParsePrefix("10.244.2.0/24"), netip.MustParseAddr("198.51.100.1")}
	for _, c := range []struct {
		name  string
		peers []Peer
		via   string // of 10.244.1.0/24
		lost  []string
	}{
		{"none", nil, "", nil},
		{"a neighbour and one behind a router", []Peer{near, far}, "192.168.77.2", []string{"far"}},
		{"the same again", []Peer{near, far}, "192.168.77.2", []string{"far"}},
		{"another address", []Peer{moved}, "192.168.77.3", nil},
		{"itself", []Peer{{"self", near.CIDR, netip.MustParseAddr("192.168.77.1")}}, "", []string{"self"}},
		{"gone", nil, "", nil},
	} {
		failed, err := n.SetPeers(t.Context(), c.peers)
		ok(t, err)
		if len(failed) != len(c.lost) {
			t.Errorf("%s: failed %v, want %v", c.name, failed, c.lost)
		}
		for _, name := range c.lost {
			if !errors.Is(failed[name], ErrNotOnLink) {
				t.Errorf("%s: %s: %v", c.name, name, failed[name])
			}
		}
		routes, err := n.peerRoutes()
		ok(t, err)
		via := ""
		for _, r := range routes {
			if prefixOf(r) == near.CIDR {
				via = r.Gw.String()
			}
		}
		if via != c.via || len(routes) > 1 {
			t.Errorf("%s: routes %v, want one via %q", c.name, routes, c.via)
		}
	}
}

// A route that goes with its link is told, and made again when the link is back.
func TestPeersComeBack(t *testing.T) {
	n := start(t, config(t))
	link := uplink(t)
	near := []Peer{{"near", netip.MustParsePrefix("10.244.1.0/24"), netip.MustParseAddr("192.168.77.2")}}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	again, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- n.FollowPeers(ctx, again) }()
	failed, err := n.SetPeers(ctx, near)
	ok(t, err)
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	ok(t, netlink.LinkSetDown(link))
	for back := false; !back; {
		select {
		case <-again:
			ok(t, netlink.LinkSetUp(link))
			failed, err = n.SetPeers(ctx, near)
			ok(t, err)
			back = len(failed) == 0
		case <-ctx.Done():
			t.Fatal("not told of the lost route: ", failed)
		case <-time.After(100 * time.Millisecond): // it may have been lost before anybody followed
			ok(t, netlink.LinkSetDown(link))
			ok(t, netlink.LinkSetUp(link))
		}
	}
	stop()
	ok(t, <-ended)
}

// uplink is a link with an address, as to other machines.
func uplink(t *testing.T) netlink.Link {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "uplink"
	link := &netlink.Veth{LinkAttrs: attrs, PeerName: "cable"}
	ok(t, netlink.LinkAdd(link))
	t.Cleanup(func() { ok(t, netlink.LinkDel(link)) })
	addr, err := netlink.ParseAddr("192.168.77.1/24")
	ok(t, err)
	ok(t, netlink.AddrAdd(link, addr))
	ok(t, netlink.LinkSetUp(link))
	cable, err := netlink.LinkByName("cable")
	ok(t, err)
	ok(t, netlink.LinkSetUp(cable))
	return link
}
