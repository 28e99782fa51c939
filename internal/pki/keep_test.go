package pki

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRenewedWhileRunning has clients of a server that never stops come by for three years: each handshake is good, the
// certificates are renewed well before their end, and a client that has not heard of it trusts the new ones.
func TestRenewedWhileRunning(t *testing.T) {
	var clock atomic.Pointer[time.Time]
	start := time.Now()
	clock.Store(&start)
	now := func() time.Time { return *clock.Load() }
	k, err := keep(t.TempDir(), names, now)
	if err != nil {
		t.Fatal(err)
	}
	account, err := k.Client("system:serviceaccount:kube-system:x", "system:serviceaccounts")
	if err != nil {
		t.Fatal(err)
	}
	first := k.Bundle()
	roots := first.CA.Pool()
	server := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &k.Bundle().APIServer.TLS, nil },
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, Time: now, SessionTicketsDisabled: true}
	client := &tls.Config{RootCAs: roots, ServerName: "localhost", Time: now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return account.TLS(), nil }}
	renewals, last := 0, first.APIServer
	for day := 0; day < 3*365; day += 5 {
		at := start.Add(time.Duration(day) * 24 * time.Hour)
		clock.Store(&at)
		if !at.Before(k.RenewAt()) {
			if err := k.Renew(); err != nil {
				t.Fatal(err)
			}
			if next := k.RenewAt(); !next.After(at.Add(200 * 24 * time.Hour)) {
				t.Fatalf("renewed at %s, and again at %s", at, next)
			}
		}
		if p := k.Bundle().APIServer; p != last && !p.Leaf().Equal(last.Leaf()) {
			renewals, last = renewals+1, p
		}
		if err := shake(server, client); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
	}
	if renewals != 4 {
		t.Errorf("renewed %d times in three years, want 4: each time when two thirds of a year are over", renewals)
	}
	if string(k.Bundle().CA.KeyPEM) != string(first.CA.KeyPEM) || string(k.Bundle().APIServer.KeyPEM) != string(first.APIServer.KeyPEM) {
		t.Error("a key was replaced")
	}
}

// shake does one handshake between two ends of a pipe.
func shake(server, client *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var served error
	var wait sync.WaitGroup
	wait.Go(func() {
		defer a.Close()
		served = tls.Server(a, server).Handshake()
	})
	err := tls.Client(b, client).Handshake()
	wait.Wait()
	return errors.Join(err, served)
}

// TestRenewalThatFails leaves what there is, and works when it is tried again.
func TestRenewalThatFails(t *testing.T) {
	dir, at := t.TempDir(), time.Now()
	k, err := keep(dir, names, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	before := k.Bundle()
	at = at.Add(300 * 24 * time.Hour)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Renew(); err == nil || k.Bundle() != before {
		t.Fatalf("%v, and another bundle: %v", err, k.Bundle() != before)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := k.Renew(); err != nil || k.Bundle().APIServer.Leaf().Equal(before.APIServer.Leaf()) {
		t.Fatalf("%v, and the certificate is the old one", err)
	}
}
