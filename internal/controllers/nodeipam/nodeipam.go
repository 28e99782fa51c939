// Package nodeipam gives every node that has none a range of its own out of the cluster's pod range: a /24, as upstream's
// node IPAM controller does by default.
//
// A range that was freed is given out as late as possible again, so that a node which comes back soon finds its own.
// next is pure.
package nodeipam

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// nodeBits is the length of a node's range.
const nodeBits = 24

// Ranges are what is given out.
type Ranges struct {
	Cluster  netip.Prefix // invalid: nothing is given out
	Reserved netip.Prefix // the share of the server's own node, which it takes by itself
}

type controller struct {
	c      *client.Client
	nodes  *client.View[*corev1.Node]
	events *client.Recorder
	ranges Ranges

	mu    sync.Mutex
	given map[string]netip.Prefix // by node: what the view does not show yet
	last  netip.Addr              // where the search goes on
}

// New returns the controller.
func New(vs *client.Views, events *client.Recorder, ranges Ranges, _ *slog.Logger) control.Controller {
	n := &controller{c: vs.Client(), nodes: client.ViewOf(vs, client.Nodes), events: events, ranges: ranges,
		given: map[string]netip.Prefix{}, last: ranges.Cluster.Addr()}
	return control.Controller{
		Name:      "node-ipam",
		Sources:   []control.Source{control.On(n.nodes, n.wakes)},
		Writes:    []string{"nodes:podCIDR"},
		Reconcile: n.reconcile,
	}
}

// wakes names the nodes that have no range when one comes, and when another goes and frees its own.
func (n *controller) wakes(old, node *corev1.Node) (keys []control.Key) {
	if node != nil {
		if node.Spec.PodCIDR == "" && (old == nil || old.UID != node.UID) {
			keys = append(keys, control.Key{Name: node.Name})
		}
		return keys
	}
	for _, other := range n.nodes.List("", nil) {
		if other.Spec.PodCIDR == "" {
			keys = append(keys, control.Key{Name: other.Name})
		}
	}
	return keys
}

func (n *controller) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	node, ok := n.nodes.Get("", k.Name)
	if !ok || node.Spec.PodCIDR != "" || node.DeletionTimestamp != nil || !n.ranges.Cluster.IsValid() {
		return control.Result{}, nil
	}
	p, ok := n.take(node.Name)
	if !ok {
		n.events.Event(node, corev1.EventTypeNormal, "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", node.Name)
		return control.Result{}, nil // it is looked at again when a node goes
	}
	// The UID makes it a patch of this very node; a range that it has got meanwhile cannot be changed, which is refused.
	_, err := client.Of(n.c, client.Nodes).Patch(ctx, "", node.Name, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"podCIDR":%q,"podCIDRs":[%q]}}`, node.UID, p, p))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err) {
		n.release(node.Name)
		return control.Result{}, nil // gone, replaced, or served by somebody else: the change comes by the view
	}
	if err != nil {
		return control.Result{}, fmt.Errorf("give node %s the range %s: %w", node.Name, p, err)
	}
	return control.Result{}, nil
}

func (n *controller) release(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.given, node)
}

// take picks a range for node, the same one again while the view does not show it.
func (n *controller) take(node string) (netip.Prefix, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	used := map[netip.Prefix]bool{n.ranges.Reserved: true}
	for _, other := range n.nodes.List("", nil) {
		for _, s := range other.Spec.PodCIDRs {
			if p, err := netip.ParsePrefix(s); err == nil {
				used[p.Masked()] = true
				delete(n.given, other.Name)
			}
		}
	}
	if p, ok := n.given[node]; ok {
		return p, true
	}
	for other, p := range n.given {
		if _, there := n.nodes.Get("", other); there {
			used[p] = true
		} else {
			delete(n.given, other)
		}
	}
	p, ok := next(n.ranges.Cluster, n.last, used)
	if ok {
		n.given[node], n.last = p, p.Addr()
	}
	return p, ok
}

// next is the first range behind last that does not overlap a used one, from the beginning again at the end.
func next(cluster netip.Prefix, last netip.Addr, used map[netip.Prefix]bool) (netip.Prefix, bool) {
	if cluster.Bits() > nodeBits {
		return netip.Prefix{}, false
	}
	p := netip.PrefixFrom(last, nodeBits).Masked()
	for range 1 << (nodeBits - cluster.Bits()) {
		p = following(p)
		if !cluster.Contains(p.Addr()) {
			p = netip.PrefixFrom(cluster.Masked().Addr(), nodeBits)
		}
		if free(p, used) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func following(p netip.Prefix) netip.Prefix {
	a := p.Addr().As4()
	for i := 2; i >= 0; i-- { // the last byte is the node's own
		if a[i]++; a[i] != 0 {
			break
		}
	}
	return netip.PrefixFrom(netip.AddrFrom4(a), nodeBits)
}

func free(p netip.Prefix, used map[netip.Prefix]bool) bool {
	if used[p] {
		return false
	}
	for u := range used {
		if u.IsValid() && u.Overlaps(p) {
			return false
		}
	}
	return true
}
