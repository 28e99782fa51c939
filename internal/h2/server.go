package h2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/run"
)

// Config of New. All of it is needed.
type Config struct {
	MaxStreams int           // that a client may have open on a connection, and handlers that may run for it
	MaxHeader  int           // bytes of a request's header list; more is answered with 431
	HeaderTime time.Duration // for a header block from its first frame to its last
	IdleTime   time.Duration // how long a connection without requests is kept
	Log        *slog.Logger
}

// Server answers on all connections that one http.Server has accepted.
type Server struct {
	cfg   Config
	scope *run.Scope
	day   atomic.Pointer[day]

	mu       sync.Mutex
	conns    map[*conn]struct{}
	draining bool
	idle     []*worker // that wait for the next request, the last one first
}

// New returns a Server whose handlers run in scope.
func New(scope *run.Scope, cfg Config) *Server {
	return &Server{cfg: cfg, scope: scope, conns: map[*conn]struct{}{}}
}

// Attach makes hs pass connections that chose HTTP/2 to s. It has to come before hs serves. Shutdown of hs lets their requests
// end; Close of hs breaks them off.
func (s *Server) Attach(hs *http.Server) {
	hs.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, nc *tls.Conn, h http.Handler) { s.serve(nc, h) }}
	hs.RegisterOnShutdown(s.drain)
}

// serve answers on one connection until it ends. net/http closes it then.
func (s *Server) serve(nc *tls.Conn, h http.Handler) {
	based, ok := h.(interface{ BaseContext() context.Context }) // how net/http passes the connection's context on
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(based.BaseContext())
	defer cancel()
	c := newConn(s, ctx, nc, h)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	draining := s.draining
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	if draining {
		c.leave()
	}
	c.serve()
}

// drain lets all connections end when their requests have.
func (s *Server) drain() {
	s.mu.Lock()
	s.draining = true
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.leave()
	}
}

// day is a second in the form of the Date header.
type day struct {
	second int64
	text   string
}

func (s *Server) date(now time.Time) string {
	if d := s.day.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &day{now.Unix(), now.UTC().Format(http.TimeFormat)}
	s.day.Store(d)
	return d.text
}

// safe says whether a TLS connection may carry HTTP/2 (RFC 9113 9.2): TLS 1.3, or 1.2 with forward secrecy and an AEAD.
func safe(t *tls.ConnectionState) bool {
	if t.Version >= tls.VersionTLS13 {
		return true
	}
	switch t.CipherSuite {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return t.Version == tls.VersionTLS12
	}
	return false
}
