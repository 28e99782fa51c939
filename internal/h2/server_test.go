package h2

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/internal/run"
)

// served is a server under test.
type served struct {
	url, addr string
	conf      *tls.Config
	hs        *http.Server
	s         *Server
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// start serves h until the test ends. change, which may be nil, sees the configuration first.
func start(t testing.TB, h http.HandlerFunc, change func(*Config)) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{MaxStreams: 250, MaxHeader: 1 << 20, HeaderTime: 10 * time.Second, IdleTime: time.Minute, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	hs := &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"h2", "http/1.1"}},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	sv := &served{url: "https://" + l.Addr().String(), addr: l.Addr().String(), hs: hs, conf: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	scope := run.NewScope(ctx)
	sv.s = New(scope, cfg)
	sv.s.Attach(hs)
	scope.Go("serve", func(context.Context) error {
		if err := hs.ServeTLS(Listen(l), "", ""); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	t.Cleanup(func() {
		cancel()
		_ = hs.Close()
		if err := scope.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return sv
}

// client returns net/http's client of HTTP/2, which closes its connections when the test ends.
func (sv *served) client(t testing.TB) *http.Client {
	tr := &http.Transport{TLSClientConfig: sv.conf.Clone(), ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

var _ http.ResponseWriter = (*response)(nil)
var _ http.Flusher = (*response)(nil)
