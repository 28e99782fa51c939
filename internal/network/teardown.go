package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Sweep detaches every sandbox that alive does not name, and deletes the links that no lease names: what a crash left.
func (n *Network) Sweep(ctx context.Context, alive map[string]bool) error {
	n.mu.Lock()
	var dead []string
	for id := range n.leases {
		if !alive[id] {
			dead = append(dead, id)
		}
	}
	n.mu.Unlock()
	var errs []error
	for _, id := range dead {
		errs = append(errs, n.Detach(ctx, id))
	}
	n.mu.Lock()
	keep := map[string]bool{}
	for _, l := range n.leases {
		keep[linkName(n.cfg.Bridge, l.IP)] = true
	}
	n.mu.Unlock()
	return errors.Join(append(errs, n.deleteLinks(keep))...)
}

// deleteLinks removes the host's ends of pod links, which takes the pods' ends along.
func (n *Network) deleteLinks(keep map[string]bool) error {
	all, err := Dump(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("network: list links: %w", err)
	}
	var errs []error
	for _, l := range all {
		name := l.Attrs().Name
		if !strings.HasPrefix(name, linkPrefix(n.cfg.Bridge)) || keep[name] {
			continue
		}
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("network: link %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Teardown removes every link, address, route, rule and table that this Network made, and its leases. What was done
// already, or never, is no error. Forwarding stays switched on, because others may have come to need it.
func (n *Network) Teardown(ctx context.Context) error {
	errs := []error{n.deleteLinks(nil), n.dropPeers(), n.deleteBridge(), n.deleteTable()}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, l := range n.leases {
		errs = append(errs, dropLease(n.cfg.StateDir, id))
		delete(n.leases, id)
		n.pool.give(l.IP)
	}
	n.bridge = 0
	if err := os.Remove(n.cfg.StateDir); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (n *Network) deleteBridge() error {
	l, err := netlink.LinkByName(n.cfg.Bridge)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("network: bridge %s: %w", n.cfg.Bridge, err)
	}
	return nil
}

func (n *Network) deleteTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := &nftables.Table{Name: n.cfg.Table, Family: nftables.TableFamilyIPv4}
	c.AddTable(t) // so that removing one that is not there succeeds
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("network: nftables table %s: %w", n.cfg.Table, err)
	}
	return nil
}
