package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/run"
)

// routes leads to the other nodes' pods for as long as ctx lasts. A cluster of one node never gets here again after its
// first look; changes of nodes that change no route wake nobody.
func (a *assembly) routes(ctx context.Context, net *network.Network, vs *client.Views, rec *client.Recorder) error {
	nodes := client.ViewOf(vs, client.Nodes)
	if err := nodes.WaitSynced(ctx); err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	nodes.OnChange(func(old, node *corev1.Node) {
		if peerOf(old) != peerOf(node) {
			poke(wake)
		}
	})
	return run.With(ctx, func(s *run.Scope) error {
		r := &router{a: a, net: net, nodes: nodes, rec: rec, told: map[string]string{}}
		for following := false; ; {
			many, err := r.lead(s.Context())
			if errors.Is(err, errMoved) {
				return err
			}
			var again <-chan time.Time
			if err != nil {
				a.log.Warn("routes to other nodes not set, will try again", "err", err)
				again = time.After(5 * time.Second)
			}
			if many && !following { // routes may go with their links
				following = true
				s.Go("follow routes", func(ctx context.Context) error { return net.FollowPeers(ctx, wake) })
			}
			select {
			case <-wake:
			case <-again:
			case <-s.Context().Done():
				return nil
			}
		}
	})
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting
	}
}

// errMoved has an agent begin anew: its pods' addresses are those of another node from now on.
var errMoved = errors.New("this node has another pod range")

type router struct {
	a     *assembly
	net   *network.Network
	nodes *client.View[*corev1.Node]
	rec   *client.Recorder
	told  map[string]string // by node: why its pods cannot be reached
}

// lead makes the routes what the nodes say, and reports whether there are other nodes.
func (r *router) lead(ctx context.Context) (many bool, err error) {
	var peers []network.Peer
	byName := map[string]*corev1.Node{}
	for _, n := range r.nodes.List("", nil) {
		p := peerOf(n)
		if n.Name == r.a.id.NodeName {
			if r.a.id.Agent() && p.CIDR.IsValid() && p.CIDR != r.a.id.nodeCIDR() {
				return false, fmt.Errorf("%w: the cluster has given it %s in the place of %s", errMoved, p.CIDR, r.a.id.nodeCIDR())
			}
			continue
		}
		if p.CIDR.IsValid() && p.Via.IsValid() {
			peers, byName[n.Name] = append(peers, p), n
		}
	}
	failed, err := r.net.SetPeers(ctx, peers)
	if err != nil {
		return true, err
	}
	maps.DeleteFunc(r.told, func(node, _ string) bool { return byName[node] == nil })
	for _, p := range peers {
		why := failed[p.Node]
		if why == nil {
			delete(r.told, p.Node)
			continue
		}
		if text := why.Error(); r.told[p.Node] != text {
			r.told[p.Node] = text
			r.a.log.Warn("pods of a node cannot be reached", "node", p.Node, "err", why)
			r.rec.Event(byName[p.Node], corev1.EventTypeWarning, "FailedToCreateRoute",
				"Could not create route %s for node %s on %s: %v. Nodes must share a link: tunnels are not built", p.CIDR, p.Node, r.a.id.NodeName, why)
		}
	}
	return len(peers) > 0, nil
}

// peerOf is what routes need to know of a node.
func peerOf(n *corev1.Node) (p network.Peer) {
	if n == nil {
		return p
	}
	p.Node = n.Name
	for _, s := range append([]string{n.Spec.PodCIDR}, n.Spec.PodCIDRs...) {
		if c, err := netip.ParsePrefix(s); err == nil && c.Addr().Is4() {
			p.CIDR = c.Masked()
			break
		}
	}
	for _, addr := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(addr.Address); err == nil && ip.Is4() && addr.Type == corev1.NodeInternalIP {
			p.Via = ip
			break
		}
	}
	return p
}
