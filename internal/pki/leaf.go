package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// A leaf says what a certificate is for. One with hosts or addresses serves, any other is a client's.
type leaf struct {
	name       string // of the file, without ".pem"
	commonName string
	groups     []string
	hosts      []string
	ips        []net.IP
}

func (l leaf) serves() bool { return len(l.hosts)+len(l.ips) > 0 }

func (l leaf) usage() []x509.ExtKeyUsage {
	if l.serves() {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

// ensure reads dir/name.pem, which holds key and certificate so that the two can never disagree, or issues it: at
// first, near its end, or when it no longer says what l asks for. The key is kept as long as it can be read.
func (a *Authority) ensure(dir string, l leaf) (*Pair, error) {
	file := filepath.Join(dir, l.name+".pem")
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &Pair{CertFile: file, KeyFile: file}
	key, err := decodeKey(data)
	if err == nil {
		if cert, err := decodeCert(data); err == nil && sameKey(cert, key) && a.stillGood(cert, l) {
			p.CertPEM, p.KeyPEM = certOnly(data), keyOnly(data)
			p.TLS, err = keyPair(data, data)
			return p, err
		}
	} else if key, err = newKey(); err != nil {
		return nil, err
	}
	if p.KeyPEM, err = encodeKey(key); err != nil {
		return nil, err
	}
	if p.CertPEM, err = a.issue(l, key); err != nil {
		return nil, err
	}
	if p.TLS, err = keyPair(p.CertPEM, p.KeyPEM); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, writeFile(file, 0o600, p.CertPEM, p.KeyPEM)
}

// stillGood says whether c is what l asks for, issued by a, and far enough from its end.
func (a *Authority) stillGood(c *x509.Certificate, l leaf) bool {
	return c.NotAfter.Sub(a.now()) >= leafRenew && !a.now().Before(c.NotBefore) &&
		c.Subject.CommonName == l.commonName && slices.Equal(c.Subject.Organization, l.groups) &&
		slices.Equal(c.ExtKeyUsage, l.usage()) && slices.Equal(c.DNSNames, l.hosts) &&
		slices.EqualFunc(c.IPAddresses, l.ips, net.IP.Equal) && a.issued(c)
}

// uniqueHosts and uniqueIPs sort and drop doubles and empties, so that the order in which a machine lists its addresses
// changes nothing.
func uniqueHosts(in ...string) []string {
	in = slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s == "" })
	slices.Sort(in)
	return slices.Compact(in)
}

func uniqueIPs(in ...net.IP) []net.IP {
	in = slices.DeleteFunc(slices.Clone(in), func(ip net.IP) bool { return ip == nil })
	slices.SortFunc(in, func(a, b net.IP) int { return bytes.Compare(a.To16(), b.To16()) })
	return slices.CompactFunc(in, net.IP.Equal)
}
