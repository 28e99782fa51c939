package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato.dev/minato/internal/run"
)

// Push sends the image called r.Ref to the registry in that name, what the registry has already excepted, and returns
// the digest that it has there. The manifest goes last, so that a push that breaks off changes nothing for anybody.
func (s *Store) Push(ctx context.Context, r PushRequest) (digest.Digest, error) {
	n, err := parseName(r.Ref)
	if err != nil {
		return "", err
	}
	switch {
	case n.digest != "":
		return "", fmt.Errorf("push: %w %q: a digest cannot be pushed to; use NAME:TAG", ErrInvalidName, r.Ref)
	case n.host == builtinHost:
		return "", fmt.Errorf("push %s: %w: %s is no registry but this node itself; tag the image first", n, ErrInvalidName, builtinHost)
	}
	c, release, err := s.content(n.String())
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	defer release()
	if r.Progress == nil {
		r.Progress = func(Progress) {}
	}
	if err := s.push(ctx, n, c, r); err != nil {
		return "", fmt.Errorf("push %s: %w", n, unavailable(err))
	}
	return c.root.Digest, s.given(c.img.ID, n.repository()+"@"+c.root.Digest.String())
}

// given notes that a registry has the image now.
func (s *Store) given(id, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if r == nil {
		return nil // removed meanwhile
	}
	next := *r
	next.Local = false
	next.Digests = union(next.Digests, []string{digest})
	if err := s.writeRecord(&next); err != nil {
		return err
	}
	s.remember(&next)
	return nil
}

func (s *Store) push(ctx context.Context, n name, c content, r PushRequest) error {
	host, err := s.pushTo(n.host)
	if err != nil {
		return err
	}
	var auth Auth
	if r.Auth != nil {
		auth = *r.Auth
	}
	up := &upload{store: s, host: host, tell: r.Progress, from: c.img.siblings(n),
		ses: &session{repo: n.repo, auth: auth, agent: s.userAgent(), access: "pull,push"}}
	// The first question settles the scheme and the credentials before many are asked at once.
	if _, err := up.has(ctx, "manifests/"+c.root.Digest.String()); err != nil {
		return err
	}
	err = run.With(ctx, func(scope *run.Scope) error {
		for _, d := range c.parts() {
			scope.Go("push "+d.Digest.Encoded(), func(ctx context.Context) error { return up.blob(ctx, d) })
		}
		return nil
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return up.manifest(ctx, n.tag, c)
}

// siblings are the other repositories of the same registry that are known to have the image.
func (i Image) siblings(n name) (out []string) {
	for _, d := range i.Digests {
		if o, err := parseName(d); err == nil && o.host == n.host && o.repo != n.repo {
			out = append(out, o.repo)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// upload is one push's conversation.
type upload struct {
	store *Store
	ses   *session
	host  *endpoint
	from  []string // repositories to mount blobs from
	tell  func(Progress)
}

// has asks whether the repository has something.
func (u *upload) has(ctx context.Context, path string) (bool, error) {
	var there bool
	err := retry(ctx, func() error {
		resp, err := u.ses.do(ctx, u.host, http.MethodHead, path, http.Header{"Accept": {accepted}})
		if errors.Is(err, ErrNotFound) {
			there = false
			return nil
		}
		if err != nil {
			return err
		}
		there = true
		return resp.Body.Close()
	})
	return there, err
}

// blob sends one blob unless it is there.
func (u *upload) blob(ctx context.Context, d ocispec.Descriptor) error {
	select {
	case u.store.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-u.store.slots }()
	there, err := u.has(ctx, "blobs/"+d.Digest.String())
	if err != nil {
		return err
	}
	if there {
		u.tell(Progress{Digest: d.Digest.String(), Done: d.Size, Total: d.Size, Cached: true})
		return nil
	}
	return retry(ctx, func() error { return u.send(ctx, d) })
}

// send opens an upload and sends the blob in one piece. A repository of the same registry that has it saves the sending.
func (u *upload) send(ctx context.Context, d ocispec.Descriptor) error {
	path := "blobs/uploads/"
	if len(u.from) > 0 {
		path += "?" + url.Values{"mount": {d.Digest.String()}, "from": {u.from[0]}}.Encode()
	}
	at := func() *url.URL {
		way, query, _ := strings.Cut(path, "?")
		x := u.host.at(u.ses.repo, way)
		x.RawQuery = query
		return x
	}
	resp, err := u.ses.exchange(ctx, u.host, http.MethodPost, at, nil, &payload{open: nothing, mediaType: "application/octet-stream"})
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusCreated {
		u.tell(Progress{Digest: d.Digest.String(), Done: d.Size, Total: d.Size, Cached: true})
		return nil
	}
	to, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the registry opened an upload and did not say where: %w", err)
	}
	if to.Scheme != "https" && !isLoopback(to.Host) {
		return fmt.Errorf("the registry wants the upload at %s: plain HTTP is spoken only to this machine itself", to.Redacted())
	}
	q := to.Query()
	q.Set("digest", d.Digest.String())
	to.RawQuery = q.Encode()
	resp, err = u.ses.exchange(ctx, u.host, http.MethodPut, func() *url.URL { return to }, nil, &payload{size: d.Size, mediaType: "application/octet-stream",
		open: func() (io.ReadCloser, error) { return u.open(d) }})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func nothing() (io.ReadCloser, error) { return http.NoBody, nil }

// open reads a blob of the store and tells how far it is.
func (u *upload) open(d ocispec.Descriptor) (io.ReadCloser, error) {
	r, err := u.store.openBlob(d)
	if err != nil {
		return nil, err
	}
	return &leaving{ReadCloser: r, d: d, tell: u.tell}, nil
}

// leaving is a blob on its way out.
type leaving struct {
	io.ReadCloser
	d    ocispec.Descriptor
	n    int64
	tell func(Progress)
}

// Read implements io.Reader.
func (l *leaving) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	l.n += int64(n)
	l.tell(Progress{Digest: l.d.Digest.String(), Done: l.n, Total: l.d.Size})
	return n, err
}

func (u *upload) manifest(ctx context.Context, tag string, c content) error {
	return retry(ctx, func() error {
		at := func() *url.URL { return u.host.at(u.ses.repo, "manifests/"+tag) }
		resp, err := u.ses.exchange(ctx, u.host, http.MethodPut, at, nil, &payload{size: int64(len(c.raw)), mediaType: c.root.MediaType,
			open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(c.raw))), nil }})
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}
