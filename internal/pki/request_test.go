package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"testing"
	"time"
)

func TestNodeCredentialsAreAskedForGrantedAndReadAgain(t *testing.T) {
	b, err := EnsureAll(t.TempDir(), Names{Node: "server"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := OpenCredentials(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty directory: %v", err)
	}
	c, err := NewCredentials(dir, b.CA.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	ip := net.IPv4(192, 168, 1, 2).To4()
	for _, ips := range [][]net.IP{nil, {ip}} {
		w, err := WishNode("a", ips...)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(w.Request)
		req, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		usage := x509.ExtKeyUsageClientAuth
		if ips != nil {
			usage = x509.ExtKeyUsageServerAuth
		}
		certPEM, err := b.CA.SignRequest(req, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{usage}, 3*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		other, err := WishNode("a", ips...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Granted(other, certPEM); err == nil {
			t.Error("a certificate for another key was taken")
		}
		if _, err := c.Granted(w, certPEM); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenCredentials(dir)
	if err != nil || again.Client == nil || again.Serving == nil {
		t.Fatalf("%+v %v", again, err)
	}
	leaf := again.Client.Leaf()
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: again.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if leaf.Subject.CommonName != "system:node:a" || leaf.Subject.Organization[0] != "system:nodes" || again.Serving.Leaf().VerifyHostname("192.168.1.2") != nil {
		t.Errorf("%v, %v", leaf.Subject, again.Serving.Leaf().IPAddresses)
	}
	if left := time.Until(again.Client.RenewAt()); left < time.Hour || left > 2*time.Hour {
		t.Errorf("renewed in %s of 3 hours", left)
	}
}
