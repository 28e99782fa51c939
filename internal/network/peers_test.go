package network

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	again, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- n.FollowPeers(ctx, again) }()
	told := func() {
		t.Helper()
		select {
		case <-again:
		case <-ctx.Done():
			t.Fatal("not told")
		}
	}
	told() // it listens
	failed, err := n.SetPeers(ctx, near)
	ok(t, err)
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	ok(t, netlink.LinkSetDown(link))
	ok(t, netlink.LinkSetUp(link))
	for back := false; !back; {
		told()
		failed, err = n.SetPeers(ctx, near)
		ok(t, err)
		routes, err := n.peerRoutes()
		ok(t, err)
		back = len(failed) == 0 && len(routes) == 1
	}
	stop()
	ok(t, <-ended)
}

// A subscription that the kernel ends is made anew, and what was lost with it is made good.
func TestFollowingRoutesGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		again, ended := make(chan struct{}, 1), make(chan error, 1)
		var updates chan<- netlink.RouteUpdate
		subscribe := func(to chan<- netlink.RouteUpdate, _ <-chan struct{}) error {
			updates = to
			return nil
		}
		go func() { ended <- followRoutes(ctx, subscribe, again) }()
		for range 3 {
			<-again // it listens
			gone := netlink.RouteUpdate{Type: unix.RTM_DELROUTE}
			gone.Family, gone.Protocol = unix.AF_INET, peerProtocol
			updates <- gone
			<-again
			gone.Protocol = unix.RTPROT_STATIC // somebody else's
			updates <- gone
			synctest.Wait()
			select {
			case <-again:
				t.Error("told of a route that is none of ours")
			default:
			}
			close(updates)
		}
		<-again
		close(updates)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
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
