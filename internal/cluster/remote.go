package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/pki"
)

// remote is the way to a server elsewhere. One connection carries all requests and watches; one that has died without a
// word is found by a ping and made anew by whoever asks next.
type remote struct {
	trust *x509.CertPool
	now   atomic.Pointer[http.Transport]
}

func newRemote(trust *x509.CertPool, pair *pki.Pair) *remote {
	r := &remote{trust: trust}
	r.show(pair)
	return r
}

// show makes pair what requests are authenticated by from now on. What is under way ends with the certificate before it.
func (r *remote) show(pair *pki.Pair) {
	conf := &tls.Config{RootCAs: r.trust, MinVersion: tls.VersionTLS12}
	if pair != nil {
		conf.Certificates = []tls.Certificate{pair.TLS}
	}
	if old := r.now.Swap(transport(conf)); old != nil {
		old.CloseIdleConnections()
	}
}

func transport(conf *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: conf, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		DialContext:     (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		IdleConnTimeout: 90 * time.Second, HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// RoundTrip implements http.RoundTripper.
func (r *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.now.Load().RoundTrip(req)
}

// bearer adds a token to what rt sends.
type bearer struct {
	rt    http.RoundTripper
	token string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+b.token)
	return b.rt.RoundTrip(req)
}
