package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// accepted are the documents that a pull understands.
var accepted = strings.Join([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerList, dockerManifest}, ", ")

// endpoint is one host that can serve a registry's repositories: the registry or a mirror.
type endpoint struct {
	base    url.URL // scheme, host and path up to and with /v2
	ns      string  // for mirrors: the registry that is meant, sent as ?ns=
	header  http.Header
	client  *http.Client
	resolve bool // may turn tags into digests
	creds   bool // gets the pull's credentials
}

// session is one pull's conversation with one repository.
type session struct {
	hosts  []*endpoint
	repo   string
	auth   Auth
	agent  string
	tokens tokens
}

func newHTTPClient(rt http.RoundTripper) *http.Client {
	if rt == nil {
		rt = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 60 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: transfers, IdleConnTimeout: 30 * time.Second}
	}
	return &http.Client{Transport: rt, CheckRedirect: checkRedirect}
}

// checkRedirect follows as browsers do, but never from TLS to plain HTTP.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("refused to follow a redirect from https to %s://%s", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

// isLoopback tells the hosts that may be spoken to without TLS.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// do sends one request for path below the repository, with credentials where the host asks for them. A status outside
// of 2xx becomes a *RegistryError.
func (s *session) do(ctx context.Context, h *endpoint, method, path string, header http.Header) (*http.Response, error) {
	resp, err := s.send(ctx, h, method, path, header, s.tokens.get(h))
	if errors.Is(err, http.ErrSchemeMismatch) && isLoopback(h.base.Host) {
		h.base.Scheme = "http"
		resp, err = s.send(ctx, h, method, path, header, "")
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		challenge := resp.Header.Values("WWW-Authenticate")
		refusal := readRefusal(resp, method)
		credential, err := s.authorize(ctx, h, challenge)
		if err != nil {
			return nil, errors.Join(refusal, err)
		}
		if credential == "" {
			return nil, refusal
		}
		s.tokens.set(h, credential)
		if resp, err = s.send(ctx, h, method, path, header, credential); err != nil {
			return nil, err
		}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readRefusal(resp, method)
	}
	return resp, nil
}

func (s *session) send(ctx context.Context, h *endpoint, method, path string, header http.Header, credential string) (*http.Response, error) {
	u := h.base
	u.Path += "/" + s.repo + "/" + path
	if h.ns != "" {
		u.RawQuery = url.Values{"ns": {h.ns}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, hs := range []http.Header{h.header, header} {
		for k, v := range hs {
			req.Header[k] = v
		}
	}
	req.Header.Set("User-Agent", s.agent)
	if credential != "" {
		req.Header.Set("Authorization", credential)
	}
	return h.client.Do(req)
}

// manifest fetches an index or manifest by tag or digest from the first host that has it.
func (s *session) manifest(ctx context.Context, target string) (raw []byte, d ocispec.Descriptor, err error) {
	var errs []error
	for _, h := range s.hosts {
		if !h.resolve && !strings.Contains(target, ":") {
			continue
		}
		raw, d, err := s.manifestFrom(ctx, h, target)
		if err == nil {
			return raw, d, nil
		}
		errs = append(errs, err)
	}
	return nil, d, joinHosts(errs)
}

func (s *session) manifestFrom(ctx context.Context, h *endpoint, target string) ([]byte, ocispec.Descriptor, error) {
	var raw []byte
	d := ocispec.Descriptor{}
	err := retry(ctx, func() error {
		resp, err := s.do(ctx, h, http.MethodGet, "manifests/"+target, http.Header{"Accept": {accepted}})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		d.MediaType = resp.Header.Get("Content-Type")
		raw, err = readDocument(resp.Body)
		return err
	})
	if err != nil {
		return nil, d, err
	}
	d.Digest, d.Size = digestOf(raw), int64(len(raw))
	if strings.Contains(target, ":") && d.Digest.String() != target {
		return nil, d, fmt.Errorf("manifest %s: %w: %s sent %s", target, ErrDigest, h.base.Host, d.Digest)
	}
	return raw, d, nil
}

// readDocument reads what must fit into memory.
func readDocument(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, transferError(err)
	}
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("the document is larger than %d bytes", maxDocument)
	}
	return raw, nil
}

// head asks what digest a tag has now; "" where the registry does not say.
func (s *session) head(ctx context.Context, target string) digest.Digest {
	for _, h := range s.hosts {
		if !h.resolve {
			continue
		}
		resp, err := s.do(ctx, h, http.MethodHead, "manifests/"+target, http.Header{"Accept": {accepted}})
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		d := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
		if checkDigest(d) == nil {
			return d
		}
		return ""
	}
	return ""
}

// joinHosts prefers the word of a host that answered over that of one that did not.
func joinHosts(errs []error) error {
	if len(errs) == 0 {
		return fmt.Errorf("%w: no host of the registry can resolve tags", ErrUnavailable)
	}
	return errors.Join(errs...)
}
