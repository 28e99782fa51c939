package network

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkGrace is how long the kernel gets to end a detached pod's link together with its namespace. It ends them in
// batches and for nothing, while deleting one link waits for a grace period of the kernel's own (30 ms).
const linkGrace = 1500 * time.Millisecond

// SweepLinks deletes the host's ends of links that no lease names and whose namespaces have not ended in time: a process
// or a mount of somebody else may hold a namespace for ever. It returns how many links still have time, so that the
// caller looks again.
func (n *Network) SweepLinks(context.Context) (young int, err error) {
	// First the links, then the leases: a link that is being made has its lease already. One that is made anew meanwhile
	// under an old name has another index.
	all, err := Dump(netlink.LinkList)
	if err != nil {
		return 0, fmt.Errorf("network: list links: %w", err)
	}
	dead, young := n.overdue(all, time.Now())
	var errs []error
	for _, l := range dead {
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("network: link %s: %w", l.Attrs().Name, err))
		}
	}
	return young, errors.Join(errs...)
}

// overdue picks the links without a lease that should have gone by now, and counts those that have time. A link whose
// detaching nobody here has seen has had its time.
func (n *Network) overdue(all []netlink.Link, now time.Time) (dead []netlink.Link, young int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	leased, there := map[string]bool{}, map[string]bool{}
	for _, l := range n.leases {
		leased[linkName(n.cfg.Bridge, l.IP)] = true
	}
	for _, l := range all {
		name := l.Attrs().Name
		there[name] = true
		if !strings.HasPrefix(name, linkPrefix(n.cfg.Bridge)) || leased[name] {
			continue
		}
		if at, ok := n.ended[name]; ok && now.Sub(at) < linkGrace {
			young++
			continue
		}
		dead = append(dead, l)
	}
	for name := range n.ended {
		if !there[name] || leased[name] {
			delete(n.ended, name)
		}
	}
	return dead, young
}
