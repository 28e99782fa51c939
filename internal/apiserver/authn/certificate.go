package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// How many verified certificates are remembered.
const rememberedCertificates = 1024

// certificates authenticates by client certificate: common name is the user, organizations are the groups. What
// verified once is remembered by its hash until it ends.
type certificates struct {
	roots *x509.CertPool
	now   func() time.Time
	known *memory[*authenticator.Response]
}

func newCertificates(roots *x509.CertPool, now func() time.Time) *certificates {
	return &certificates{roots: roots, now: now, known: newMemory[*authenticator.Response](rememberedCertificates)}
}

// AuthenticateRequest implements authenticator.Request.
func (c *certificates) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	if req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return nil, false, nil
	}
	leaf, now := req.TLS.PeerCertificates[0], c.now()
	hash := sha256.Sum256(leaf.Raw)
	if r, ok := c.known.get(hash, now); ok {
		return r, true, nil
	}
	end, err := c.verify(leaf, req.TLS.PeerCertificates[1:], now)
	if err != nil {
		return nil, false, err
	}
	r, err := identity(leaf, hash)
	if r == nil || err != nil {
		return nil, false, err
	}
	c.known.put(hash, r, now, end)
	return r, true, nil
}

// verify returns the moment until which leaf's shortest-lived chain member holds.
func (c *certificates) verify(leaf *x509.Certificate, rest []*x509.Certificate, now time.Time) (time.Time, error) {
	o := x509.VerifyOptions{Roots: c.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(rest) > 0 {
		o.Intermediates = x509.NewCertPool()
		for _, i := range rest {
			o.Intermediates.AddCert(i)
		}
	}
	chains, err := leaf.Verify(o)
	if err != nil {
		return time.Time{}, fmt.Errorf("verifying certificate SN=%v failed: %w", leaf.SerialNumber, err)
	}
	end := leaf.NotAfter
	for _, link := range chains[0] {
		if link.NotAfter.Before(end) {
			end = link.NotAfter
		}
	}
	return end, nil
}

// uidOID is the subject attribute that upstream reads a user's UID from.
var uidOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}

// identity returns who leaf speaks for, nil where it names no one.
func identity(leaf *x509.Certificate, hash [sha256.Size]byte) (*authenticator.Response, error) {
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	uid := ""
	for _, n := range leaf.Subject.Names {
		if !n.Type.Equal(uidOID) {
			continue
		}
		s, ok := n.Value.(string)
		if !ok || s == "" || uid != "" {
			return nil, fmt.Errorf("certificate SN=%v: subject must have one non-empty UID at most", leaf.SerialNumber)
		}
		uid = s
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: leaf.Subject.CommonName, UID: uid, Groups: leaf.Subject.Organization,
		Extra: map[string][]string{user.CredentialIDKey: {"X509SHA256=" + hex.EncodeToString(hash[:])}}}}, nil
}
