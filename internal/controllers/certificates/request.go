package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

const (
	nodeUser   = "system:node:"
	nodesGroup = "system:nodes"
)

// signers are the rules of the signers that are served.
var signers = map[string]func(*x509.CertificateRequest, certificatesv1.CertificateSigningRequestSpec) error{
	certificatesv1.KubeAPIServerClientSignerName:        anyClient,
	certificatesv1.KubeAPIServerClientKubeletSignerName: kubeletClient,
	certificatesv1.KubeletServingSignerName:             kubeletServing,
}

func parse(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return req, req.CheckSignature()
}

// anyClient: a client's usages, and nothing but them.
func anyClient(_ *x509.CertificateRequest, s certificatesv1.CertificateSigningRequestSpec) error {
	return usages(s, certificatesv1.UsageClientAuth, false)
}

func kubeletClient(req *x509.CertificateRequest, s certificatesv1.CertificateSigningRequestSpec) error {
	if err := ofNode(req); err != nil {
		return err
	}
	if names(req) > 0 {
		return errors.New("DNS, IP, URI and email subjectAltNames are not allowed")
	}
	return usages(s, certificatesv1.UsageClientAuth, true)
}

func kubeletServing(req *x509.CertificateRequest, s certificatesv1.CertificateSigningRequestSpec) error {
	if err := ofNode(req); err != nil {
		return err
	}
	if len(req.EmailAddresses)+len(req.URIs) > 0 {
		return errors.New("URI and email subjectAltNames are not allowed")
	}
	if names(req) == 0 {
		return errors.New("DNS or IP subjectAltName is required")
	}
	return usages(s, certificatesv1.UsageServerAuth, true)
}

func names(req *x509.CertificateRequest) int {
	return len(req.DNSNames) + len(req.IPAddresses) + len(req.EmailAddresses) + len(req.URIs)
}

func ofNode(req *x509.CertificateRequest) error {
	if !slices.Equal(req.Subject.Organization, []string{nodesGroup}) {
		return fmt.Errorf("subject organization is not %s", nodesGroup)
	}
	if name, ok := strings.CutPrefix(req.Subject.CommonName, nodeUser); !ok || name == "" {
		return fmt.Errorf("subject common name does not begin with %s", nodeUser)
	}
	return nil
}

// usages wants auth and, where exact, a digital signature; a key may be enciphered; nothing else is allowed.
func usages(s certificatesv1.CertificateSigningRequestSpec, auth certificatesv1.KeyUsage, exact bool) error {
	for _, u := range s.Usages {
		if u != auth && u != certificatesv1.UsageDigitalSignature && u != certificatesv1.UsageKeyEncipherment {
			return fmt.Errorf("usages did not match: %q is not allowed", u)
		}
	}
	if !slices.Contains(s.Usages, auth) || exact && !slices.Contains(s.Usages, certificatesv1.UsageDigitalSignature) {
		return fmt.Errorf("usages did not match: %q and %q are needed", auth, certificatesv1.UsageDigitalSignature)
	}
	return nil
}

// within says whether req names nothing but the node's name and its own addresses, which nobody else claims and which are
// not of a range that is closed to nodes. A node says itself what its addresses are, so it is not believed more than that.
func within(req *x509.CertificateRequest, node string, own, claimed map[string]bool, closed []netip.Prefix) bool {
	for _, name := range req.DNSNames {
		if name != node || claimed[name] || servers(name) {
			return false
		}
	}
	for _, ip := range req.IPAddresses {
		a, ok := netip.AddrFromSlice(ip)
		if a = a.Unmap(); !ok || !own[a.String()] || claimed[a.String()] || !a.IsGlobalUnicast() {
			return false
		}
		if slices.ContainsFunc(closed, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return false
		}
	}
	return true
}

// servers are names by which the API server or a Service may be known: no node gets a certificate for one.
func servers(name string) bool {
	return name == "localhost" || name == "kubernetes" || strings.HasPrefix(name, "kubernetes.") || strings.HasSuffix(name, ".svc") || strings.Contains(name, ".svc.")
}

func usagesOf(list []certificatesv1.KeyUsage) (key x509.KeyUsage, ext []x509.ExtKeyUsage) {
	for _, u := range list {
		switch u {
		case certificatesv1.UsageDigitalSignature:
			key |= x509.KeyUsageDigitalSignature
		case certificatesv1.UsageKeyEncipherment:
			key |= x509.KeyUsageKeyEncipherment
		case certificatesv1.UsageClientAuth:
			ext = append(ext, x509.ExtKeyUsageClientAuth)
		case certificatesv1.UsageServerAuth:
			ext = append(ext, x509.ExtKeyUsageServerAuth)
		}
	}
	return key, ext
}

// How long a certificate lives that does not ask for less, and how long requests are kept: upstream's.
const (
	longest     = 365 * 24 * time.Hour
	keepPending = 24 * time.Hour
	keepDone    = time.Hour
)

func lifetime(s certificatesv1.CertificateSigningRequestSpec) time.Duration {
	if s.ExpirationSeconds == nil {
		return longest
	}
	return min(longest, max(10*time.Minute, time.Duration(*s.ExpirationSeconds)*time.Second))
}

// state is how far a request is.
type state struct {
	approved, done bool // done: denied, failed or issued
	since          time.Time
}

func stateOf(csr *certificatesv1.CertificateSigningRequest) state {
	s := state{since: csr.CreationTimestamp.Time, done: len(csr.Status.Certificate) > 0}
	for _, c := range csr.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateApproved:
			s.approved = true
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
			s.done = true
		}
		if c.LastUpdateTime.After(s.since) {
			s.since = c.LastUpdateTime.Time
		}
	}
	return s
}

// keep is how long a request stays in its state. One that was approved waits for its signer as long as for the approval.
func keep(s state) time.Duration {
	if s.done {
		return keepDone
	}
	return keepPending
}

// expired says whether the certificate has come to its end.
func expired(csr *certificatesv1.CertificateSigningRequest, now time.Time) bool {
	block, _ := pem.Decode(csr.Status.Certificate)
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && now.After(cert.NotAfter)
}
