package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Files of a node that has joined, in its own directory.
const (
	nodeCA      = "ca.crt"
	nodeClient  = "node.pem"
	nodeServing = "kubelet.pem"
)

// Wish is a key and what its certificate should say; the key never leaves the machine.
type Wish struct {
	keyPEM  []byte
	Request []byte // PEM, for somebody to sign
}

// WishNode asks for a node's certificate: for a client where ips is empty, else for a server at these addresses.
func WishNode(node string, ips ...net.IP) (*Wish, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	w := &Wish{}
	if w.keyPEM, err = encodeKey(key); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{IPAddresses: ips,
		Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request of node %s: %w", node, err)
	}
	w.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return w, nil
}

// Credentials are what a node that has joined has instead of a Bundle. It is safe for concurrent reads; who writes is alone.
type Credentials struct {
	dir     string
	CA      *x509.Certificate
	CAPEM   []byte
	Client  *Pair // nil: none yet
	Serving *Pair // nil: none yet
}

// OpenCredentials reads them; errors.Is(err, fs.ErrNotExist) where the node does not know an authority yet. A certificate
// that is not there or cannot be read is nil.
func OpenCredentials(dir string) (*Credentials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := removeLeftovers(dir); err != nil {
		return nil, err
	}
	c := &Credentials{dir: dir}
	var err error
	if c.CAPEM, err = os.ReadFile(filepath.Join(dir, nodeCA)); err != nil {
		return nil, err
	}
	if c.CA, err = decodeCert(c.CAPEM); err != nil {
		return nil, fmt.Errorf("%s: %w: restore the file, or take the node down with --purge and join again", filepath.Join(dir, nodeCA), err)
	}
	if c.Client, err = readPair(filepath.Join(dir, nodeClient)); err == nil {
		c.Serving, err = readPair(filepath.Join(dir, nodeServing))
	}
	return c, err
}

// OpenAdmin reads the authority and the administrator's certificate from a server's directory, without changing anything.
func OpenAdmin(dir string) (*Credentials, *Pair, error) {
	c := &Credentials{dir: dir}
	var err error
	if c.CAPEM, err = os.ReadFile(filepath.Join(dir, nodeCA)); err != nil {
		return nil, nil, err
	}
	if c.CA, err = decodeCert(c.CAPEM); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, nodeCA), err)
	}
	admin, err := readPair(filepath.Join(dir, "admin.pem"))
	if err == nil && admin == nil {
		err = fmt.Errorf("%s is missing or damaged: start the cluster again, which makes it anew", filepath.Join(dir, "admin.pem"))
	}
	return c, admin, err
}

// NewCredentials trusts an authority.
func NewCredentials(dir string, caPEM []byte) (*Credentials, error) {
	ca, err := decodeCert(caPEM)
	if err != nil {
		return nil, fmt.Errorf("authority of the cluster: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, nodeCA), 0o600, caPEM); err != nil {
		return nil, err
	}
	return &Credentials{dir: dir, CA: ca, CAPEM: caPEM}, syncDir(dir)
}

// readPair reads key and certificate from one file; nil where there is none that can be used, for it can be asked for again.
func readPair(file string) (*Pair, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &Pair{CertFile: file, KeyFile: file, CertPEM: certOnly(data), KeyPEM: keyOnly(data)}
	if p.TLS, err = keyPair(data, data); err != nil {
		return nil, nil
	}
	return p, nil
}

// Pool holds just the cluster's authority.
func (c *Credentials) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.CA)
	return p
}

// Granted keeps the certificate that came for w on the disk and returns the pair.
func (c *Credentials) Granted(w *Wish, certPEM []byte) (*Pair, error) {
	t, err := keyPair(certPEM, w.keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate that came does not fit its key: %w", err)
	}
	name := nodeClient
	if len(t.Leaf.IPAddresses) > 0 {
		name = nodeServing
	}
	p := &Pair{TLS: t, CertPEM: certPEM, KeyPEM: w.keyPEM, CertFile: filepath.Join(c.dir, name), KeyFile: filepath.Join(c.dir, name)}
	if err := writeFile(p.CertFile, 0o600, certPEM, w.keyPEM); err != nil {
		return nil, err
	}
	return p, syncDir(c.dir)
}

// RenewAt is when a pair should be replaced: when a third of its life is left.
func (p *Pair) RenewAt() time.Time {
	c := p.Leaf()
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}

// CAHash names an authority by its public key, as kubeadm's --discovery-token-ca-cert-hash does without "sha256:".
func CAHash(caPEM []byte) (string, error) {
	c, err := decodeCert(caPEM)
	if err != nil {
		return "", err
	}
	return keyHash(c), nil
}

// PinnedCA returns the first authority of caPEM, and it alone in PEM, if hash names it (see CAHash). For others that come
// with it nobody vouches: who believed them would believe whoever has added them on the way.
func PinnedCA(caPEM []byte, hash string) (ca *x509.Certificate, alone []byte, ok bool) {
	ca, err := decodeCert(caPEM)
	if err != nil || keyHash(ca) != hash {
		return nil, nil, false
	}
	return ca, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: ca.Raw}), true
}

func keyHash(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// SignRequest issues what req asks for, with the usages that somebody has approved, for no longer than life and the
// authority itself.
func (a *Authority) SignRequest(req *x509.CertificateRequest, key x509.KeyUsage, ext []x509.ExtKeyUsage, life time.Duration) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	end := a.now().Add(life)
	if last := a.Leaf().NotAfter; end.After(last) {
		end = last
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: req.Subject, NotBefore: a.now().Add(-backdate), NotAfter: end,
		KeyUsage: key, ExtKeyUsage: ext, BasicConstraintsValid: true,
		DNSNames: req.DNSNames, IPAddresses: req.IPAddresses, EmailAddresses: req.EmailAddresses, URIs: req.URIs}
	der, err := x509.CreateCertificate(rand.Reader, t, a.Leaf(), req.PublicKey, a.TLS.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", req.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), nil
}
