package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// How long certificates live, and how long before their end they are replaced. Leaves are replaced when a third of their
// life is left, at the next start.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityRenew = 2 * 365 * 24 * time.Hour
	leafLife       = 365 * 24 * time.Hour
	leafRenew      = leafLife / 3
	backdate       = 5 * time.Minute // for clocks that go slow
)

// ensureAuthority reads or makes the authority dir/name.{key,crt}. Its key is kept for ever; a certificate that comes to
// its end is signed anew with the same key and subject, so that what it issued stays valid.
//
//	nothing -> key, synced -> key and certificate
//
// A certificate without its key is refused: guessing a new one would cut off every client.
func ensureAuthority(dir, name, commonName string, now func() time.Time) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	certPEM, err := os.ReadFile(certFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if certPEM != nil {
		if _, err := os.Stat(keyFile); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s is there without its key %s: restore the key, or remove %s to start with new certificates", certFile, keyFile, dir)
		}
	}
	key, keyPEM, made, err := ensureKey(keyFile)
	if err != nil {
		return nil, err
	}
	if made {
		if err := syncDir(dir); err != nil {
			return nil, err
		}
	}
	a := &Authority{Pair: Pair{CertFile: certFile, KeyFile: keyFile, CertPEM: certPEM, KeyPEM: keyPEM}, now: now}
	if cert, err := decodeCert(certPEM); err != nil || !sameKey(cert, key) || cert.NotAfter.Sub(now()) < authorityRenew {
		if a.CertPEM, err = selfSign(key, commonName, now()); err != nil {
			return nil, err
		}
		if err := writeFile(certFile, 0o600, a.CertPEM); err != nil {
			return nil, err
		}
	}
	a.TLS, err = keyPair(a.CertPEM, a.KeyPEM)
	return a, err
}

func sameKey(c *x509.Certificate, k *ecdsa.PrivateKey) bool { return k.PublicKey.Equal(c.PublicKey) }

func keyPair(certPEM, keyPEM []byte) (tls.Certificate, error) {
	t, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return t, err
	}
	t.Leaf, err = x509.ParseCertificate(t.Certificate[0])
	return t, err
}

func selfSign(key *ecdsa.PrivateKey, commonName string, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName}, DNSNames: []string{commonName},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", commonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), nil
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
}

// issue signs a certificate for key as l asks.
func (a *Authority) issue(l leaf, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: l.commonName, Organization: l.groups},
		NotBefore: a.now().Add(-backdate), NotAfter: a.now().Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: l.usage(), BasicConstraintsValid: true,
		DNSNames: l.hosts, IPAddresses: l.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.Leaf(), &key.PublicKey, a.TLS.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", l.name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), nil
}

// ClientPair issues a client certificate for user in groups that lives in memory only.
func (a *Authority) ClientPair(user string, groups ...string) (*Pair, error) {
	return a.memoryPair(leaf{name: user, commonName: user, groups: groups})
}

func (a *Authority) memoryPair(l leaf) (*Pair, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	p := &Pair{}
	if p.KeyPEM, err = encodeKey(key); err != nil {
		return nil, err
	}
	if p.CertPEM, err = a.issue(l, key); err != nil {
		return nil, err
	}
	p.TLS, err = keyPair(p.CertPEM, p.KeyPEM)
	return p, err
}

// issued says whether a signed c.
func (a *Authority) issued(c *x509.Certificate) bool {
	return bytes.Equal(c.AuthorityKeyId, a.Leaf().SubjectKeyId) && c.CheckSignatureFrom(a.Leaf()) == nil
}
