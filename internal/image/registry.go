package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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
	resolve bool  // may turn tags into digests
	creds   bool  // gets the pull's credentials
	pull    bool  // gives manifests and blobs
	push    bool  // takes them
	login   *Auth // the node's own for this host
	rewrite []rewrite

	dialTimeout time.Duration // 0: the usual
}

// session is one pull's or push's conversation with one repository.
type session struct {
	hosts  []*endpoint
	repo   string
	auth   Auth
	agent  string
	access string // what tokens are asked for where the registry does not say: "pull" or "pull,push"
	tokens tokens
	stall  time.Duration // for reading blobs
}

// A payload is what a request carries; it is opened again for each try.
type payload struct {
	open      func() (io.ReadCloser, error)
	size      int64
	mediaType string
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
	return s.exchange(ctx, h, method, func() *url.URL { return h.at(s.repo, path) }, header, nil)
}

// at is the address of a path below a repository; its scheme may change with the first answer.
func (h *endpoint) at(repo, path string) *url.URL {
	u := h.base
	u.Path += "/" + h.repo(repo) + "/" + path
	if h.ns != "" {
		u.RawQuery = url.Values{"ns": {h.ns}}.Encode()
	}
	return &u
}

// exchange is do for any address, with a body where p is not nil. Credentials go to the host itself only, not to the
// storage that it may send us to.
func (s *session) exchange(ctx context.Context, h *endpoint, method string, at func() *url.URL, header http.Header, p *payload) (*http.Response, error) {
	resp, err := s.send(ctx, h, method, at(), header, s.tokens.get(h), p)
	if errors.Is(err, http.ErrSchemeMismatch) && isLoopback(h.base.Host) {
		h.base.Scheme = "http"
		resp, err = s.send(ctx, h, method, at(), header, "", p)
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
		if resp, err = s.send(ctx, h, method, at(), header, credential, p); err != nil {
			return nil, err
		}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readRefusal(resp, method)
	}
	return resp, nil
}

func (s *session) send(ctx context.Context, h *endpoint, method string, u *url.URL, header http.Header, credential string, p *payload) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if p != nil {
		if req.Body, err = p.open(); err != nil {
			return nil, err
		}
		req.GetBody, req.ContentLength = p.open, p.size
		if p.size == 0 {
			req.Body = http.NoBody
		}
		req.Header.Set("Content-Type", p.mediaType)
	}
	own := http.Header{"User-Agent": {s.agent}}
	if u.Host == h.base.Host {
		maps.Copy(own, h.header)
		if credential != "" {
			own.Set("Authorization", credential)
		}
	}
	for _, hs := range []http.Header{own, header} {
		maps.Copy(req.Header, hs)
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
	d.Digest, d.Size = like(digest.Digest(target), raw), int64(len(raw))
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
