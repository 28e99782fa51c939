package apiserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// Server is one API server.
type Server struct {
	cfg Config
}

// New checks cfg and returns a server that is not yet running.
func New(cfg Config) (*Server, error) { return &Server{cfg: cfg}, nil }

// Handler is the whole HTTP surface.
func (s *Server) Handler() http.Handler { return nil }

// Objects is the door for the server's own parts.
func (s *Server) Objects() *Objects { return &Objects{s} }

// InProcess is a transport to this server without a socket. The request is authenticated by the certificate, as if it
// had been the peer's in a TLS handshake.
func (s *Server) InProcess(cert tls.Certificate) http.RoundTripper { return nil }

// Run keeps the cache and calls ready when requests can be answered. It returns when ctx ends.
func (s *Server) Run(ctx context.Context, ready func()) error { return nil }

// Serve answers on l until ctx ends, then stops watches and drains requests. A nil tlsConfig serves plain HTTP, for tests.
func (s *Server) Serve(ctx context.Context, l net.Listener, tlsConfig *tls.Config) error { return nil }
