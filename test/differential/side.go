package differential

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// A Side is one of the two API servers as its administrator sees it.
type Side struct {
	Name string
	URL  string
	http *http.Client
	vars map[string]string // what requests name as ${...}
}

// NewSide returns the side at url; dial, where given, reaches it.
func NewSide(name, url string, secure *tls.Config, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *Side {
	t := &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true, DisableCompression: true, DialContext: dial, IdleConnTimeout: time.Minute}
	return &Side{Name: name, URL: url, http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		vars: map[string]string{}}
}

// Close drops the connections.
func (s *Side) Close() { s.http.CloseIdleConnections() }
