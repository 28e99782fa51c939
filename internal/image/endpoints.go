package image

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pullFrom are the hosts to ask for a registry's images: the mirrors that hosts.toml names, then the registry.
func (s *Store) pullFrom(host string) ([]*endpoint, error) {
	all, err := s.endpoints(host)
	return slices.DeleteFunc(all, func(e *endpoint) bool { return !e.pull }), err
}

// pushTo is the one host that takes a registry's images: the first that hosts.toml lets push, else the registry.
func (s *Store) pushTo(host string) (*endpoint, error) {
	all, err := s.endpoints(host)
	if err != nil {
		return nil, err
	}
	return all[slices.IndexFunc(all, func(e *endpoint) bool { return e.push })], nil
}

// endpoints returns all hosts of a registry; the last is the registry itself.
func (s *Store) endpoints(host string) ([]*endpoint, error) {
	file, err := s.readHosts(host)
	if err != nil {
		return nil, err
	}
	registries, err := s.readRegistries()
	if err != nil {
		return nil, err
	}
	if file == nil {
		file = registries.hosts(host, s.cfg.RegistriesFile)
	}
	out, err := s.named(host, file)
	if err != nil {
		return nil, err
	}
	for _, e := range out {
		if err := s.dress(e, registries); err != nil {
			return nil, fmt.Errorf("%s: configs %q: %w", s.cfg.RegistriesFile, e.base.Host, err)
		}
	}
	return out, nil
}

// named are the mirrors that file names, which may be nil, and the registry.
func (s *Store) named(host string, file *hostsFile) (out []*endpoint, err error) {
	server := host
	if host == "docker.io" {
		server = "registry-1.docker.io"
	}
	own := &endpoint{base: url.URL{Scheme: "https", Host: server, Path: "/v2"}, client: s.client, resolve: true, creds: true, pull: true, push: true}
	if file == nil {
		return []*endpoint{own}, nil
	}
	for _, h := range file.hosts {
		e, err := s.mirror(h, host)
		if err != nil {
			return nil, fmt.Errorf("%s: host %q: %w", file.path, h.url, err)
		}
		if e != nil {
			out = append(out, e)
		}
	}
	if file.server != "" {
		e, err := s.mirror(hostsEntry{url: file.server, capabilities: []string{"pull", "resolve", "push"}}, "")
		if err != nil {
			return nil, fmt.Errorf("%s: server: %w", file.path, err)
		}
		e.creds, own = true, e
	}
	return append(out, own), nil
}

// readHosts finds the registry's hosts.toml, else the one of _default; nil where there is none.
func (s *Store) readHosts(host string) (*hostsFile, error) {
	if s.cfg.HostsDir == "" {
		return nil, nil
	}
	for _, dir := range []string{host, "_default"} {
		at := filepath.Join(s.cfg.HostsDir, dir, "hosts.toml")
		raw, err := os.ReadFile(at)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f, err := parseHosts(string(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		f.path = at
		return &f, nil
	}
	return nil, nil
}

// mirror makes an endpoint of a host entry; nil where it is not for pulling. ns is the registry that is mirrored.
func (s *Store) mirror(h hostsEntry, ns string) (*endpoint, error) {
	u, err := url.Parse(h.url)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Host)) {
		return nil, errors.New("https:// is needed; plain HTTP is spoken only to this machine itself")
	}
	caps := h.capabilities
	if len(caps) == 0 {
		caps = []string{"pull", "resolve"}
	}
	if !slices.Contains(caps, "pull") && !slices.Contains(caps, "push") {
		return nil, nil
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if !h.overridePath {
		u.Path += "/v2"
	}
	e := &endpoint{base: *u, ns: ns, header: h.header, client: s.client, resolve: slices.Contains(caps, "resolve"),
		pull: slices.Contains(caps, "pull"), push: slices.Contains(caps, "push")}
	e.rewrite, e.dialTimeout = h.rewrite, h.dialTimeout
	if !h.trust.isZero() || h.dialTimeout > 0 {
		e.client, err = s.clientFor(h.trust, h.dialTimeout)
	}
	return e, err
}

// clientFor trusts, and shows, what t says, and waits so long for a connection; 0 is the usual time.
func (s *Store) clientFor(t trust, dial time.Duration) (*http.Client, error) {
	base, ok := s.client.Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("certificates and their check need the store's own transport")
	}
	rt := base.Clone()
	if dial > 0 {
		rt.DialContext, rt.TLSHandshakeTimeout = (&net.Dialer{Timeout: dial}).DialContext, dial
	}
	rt.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.skipVerify}
	if len(t.ca) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		for _, at := range t.ca {
			pem, err := os.ReadFile(at)
			if err != nil {
				return nil, err
			}
			if !pool.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("ca %s: no certificate in it", at)
			}
		}
		rt.TLSClientConfig.RootCAs = pool
	}
	for _, files := range t.client {
		pair, err := tls.LoadX509KeyPair(files[0], files[len(files)-1])
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		rt.TLSClientConfig.Certificates = append(rt.TLSClientConfig.Certificates, pair)
	}
	return &http.Client{Transport: rt, CheckRedirect: checkRedirect}, nil
}
