package network

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// podLinks counts the host's ends of pod links.
func podLinks(t *testing.T, n *Network) int {
	t.Helper()
	all, err := Dump(netlink.LinkList)
	ok(t, err)
	count := 0
	for _, l := range all {
		if l.Attrs().MasterIndex == n.bridge {
			count++
		}
	}
	return count
}

func TestLinkOfAHeldNamespaceIsSwept(t *testing.T) {
	n := start(t, config(t))
	attach(t, n, "lives", pod(t))
	attach(t, n, "held", pod(t)) // whose namespace the test keeps
	sweep := func(wantYoung, wantLinks int) {
		t.Helper()
		young, err := n.SweepLinks(t.Context())
		ok(t, err)
		if left := podLinks(t, n); young != wantYoung || left != wantLinks {
			t.Fatalf("%d links have time, %d are there; want %d, %d", young, left, wantYoung, wantLinks)
		}
	}
	sweep(0, 2)
	ok(t, n.Detach(t.Context(), "held"))
	for name := range n.ended {
		n.ended[name] = time.Now().Add(time.Hour) // however slow the machine is
	}
	sweep(1, 2)
	for name := range n.ended {
		n.ended[name] = time.Now().Add(-linkGrace)
	}
	sweep(0, 1)
	sweep(0, 1)
	if len(n.ended) != 0 {
		t.Errorf("remembered for ever: %v", n.ended)
	}
}
