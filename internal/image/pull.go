package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Pull fetches r.Ref for this machine's platform, unpacks it and returns it. Equal pulls at the same time share one
// transfer. A name that is here already is asked for again at the registry (its tag may have moved), a digest is not.
func (s *Store) Pull(ctx context.Context, r PullRequest) (Image, error) {
	n, err := parseName(r.Ref)
	if err != nil {
		return Image{}, err
	}
	i, here := s.Resolve(n.String())
	if here && (n.digest != "" || n.host == builtinHost) {
		return i, nil
	}
	if n.host == builtinHost {
		return Image{}, fmt.Errorf("pull %s: %w: %s is no registry but this node itself; load the image first", n, ErrNotFound, builtinHost)
	}
	var auth Auth
	if r.Auth != nil {
		auth = *r.Auth
	}
	key := fmt.Sprintf("%s %q", n, auth)
	defer s.fans.join(key, r.Progress)()
	id, err := s.pulls.do(ctx, key, func(ctx context.Context) (string, error) {
		i, err := s.pull(ctx, n, auth, func(p Progress) { s.fans.tell(key, p) })
		return i.ID, err
	})
	if err != nil {
		return Image{}, fmt.Errorf("pull %s: %w", n, unavailable(err))
	}
	i, here = s.Resolve(id)
	if !here {
		return Image{}, fmt.Errorf("pull %s: %w: it was removed at once", n, ErrNotFound)
	}
	return i, nil
}

// unavailable marks the errors of hosts that cannot be reached.
func unavailable(err error) error {
	var op *net.OpError
	if !errors.Is(err, ErrUnavailable) && (errors.As(err, &op) || errors.Is(err, errTransfer)) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

func (s *Store) pull(ctx context.Context, n name, auth Auth, tell func(Progress)) (Image, error) {
	hosts, err := s.pullFrom(n.host)
	if err != nil {
		return Image{}, err
	}
	ses := &session{hosts: hosts, repo: n.repo, auth: auth, agent: s.userAgent(), access: "pull", stall: s.cfg.Stall}
	naming := naming{durable: true}
	if n.tag != "" {
		naming.names = []string{n.String()}
	}
	if i, ok := s.Resolve(n.String()); ok { // a tag that has not moved costs one question
		if d := ses.head(ctx, n.target()); d != "" && i.HasName(n.repository()+"@"+d.String()) && s.isWhole(n.String()) {
			return i, nil
		}
	}
	raw, d, err := ses.manifest(ctx, n.target())
	if err != nil {
		return Image{}, err
	}
	naming.digests = []string{n.repository() + "@" + d.Digest.String()}
	from := &remote{store: s, ses: ses, tell: tell, root: d.Digest.String(), rootRaw: raw}
	return s.assemble(ctx, from, d, naming)
}

func (s *Store) userAgent() string {
	if s.cfg.UserAgent == "" {
		return "minato"
	}
	return s.cfg.UserAgent
}

// remote is the origin of a pull: the store for what is here, the registry for the rest.
type remote struct {
	store   *Store
	ses     *session
	tell    func(Progress)
	root    string
	rootRaw []byte
}

var _ origin = (*remote)(nil)

func (r *remote) document(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if d.Digest.String() == r.root {
		return r.rootRaw, nil
	}
	if raw, err := r.store.readBlob(d.Digest.String()); err == nil {
		return raw, nil
	}
	if isManifestType(d.MediaType) {
		raw, _, err := r.ses.manifest(ctx, d.Digest.String())
		return raw, err
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("config %s: larger than %d bytes", d.Digest, maxDocument)
	}
	body, err := r.ses.blob(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readDocument(body)
	if err != nil {
		return nil, err
	}
	return raw, checkContent(d.Digest, d.Size, like(d.Digest, raw), int64(len(raw)))
}

func isManifestType(t string) bool {
	switch t {
	case ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerList, dockerManifest:
		return true
	}
	return false
}

func (r *remote) layerSource(d ocispec.Descriptor) layerSource {
	return func(ctx context.Context) (io.ReadCloser, error) {
		here, err := r.store.openBlob(d)
		if err == nil {
			r.tell(Progress{Digest: d.Digest.String(), Done: d.Size, Total: d.Size, Cached: true})
			return here, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		w, have, err := r.store.partialWriter(d)
		if err != nil {
			return nil, err
		}
		a := &arriving{store: r.store, d: d, w: w, tell: r.tell}
		if a.body, err = r.ses.resumed(ctx, d, w, have); err != nil {
			a.end()
			return nil, err
		}
		return a, nil
	}
}

// arriving reads a blob from a registry and keeps it in the store on the way, if it proves to be the right one.
type arriving struct {
	store *Store
	d     ocispec.Descriptor
	body  io.ReadCloser
	w     *blobWriter
	tell  func(Progress)
	err   error
}

// Read implements io.Reader; io.EOF comes only after the digest was found right.
func (a *arriving) Read(b []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.body.Read(b)
	if _, werr := a.w.Write(b[:n]); werr != nil {
		a.err = werr
		return 0, werr
	}
	if a.w.n > a.d.Size {
		a.err = a.w.check(a.d.Digest, a.d.Size)
		return 0, a.err
	}
	a.tell(Progress{Digest: a.d.Digest.String(), Done: a.w.n, Total: a.d.Size})
	if errors.Is(err, io.EOF) {
		if err = a.w.check(a.d.Digest, a.d.Size); err == nil {
			err = a.store.keep(a.w, a.d.Digest)
		}
		if err == nil {
			err = io.EOF
		}
	}
	a.err = err
	return n, err
}

// Close ends the transfer. What is not complete stays for the next pull, what is wrong does not.
func (a *arriving) Close() error {
	a.end()
	return a.body.Close()
}

func (a *arriving) end() {
	if errors.Is(a.err, ErrDigest) || errors.Is(a.err, ErrNotFound) {
		a.w.drop()
	} else {
		a.w.leave()
	}
	if a.w.partial {
		a.store.arrived(a.d.Digest)
	}
}

// openBlob opens a layer that is here. Its reader checks the content, and a wrong one is removed.
func (s *Store) openBlob(d ocispec.Descriptor) (io.ReadCloser, error) {
	f, err := os.Open(s.blobPath(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	return &checked{f: f, w: blobWriter{f: f, hash: d.Digest.Algorithm().Digester()}, d: d}, nil
}

// checked reads a blob of the store and returns an error in place of io.EOF where it is not what it should be.
type checked struct {
	f   *os.File
	w   blobWriter // only counts and hashes
	d   ocispec.Descriptor
	err error
}

// Read implements io.Reader.
func (c *checked) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.f.Read(b)
	c.w.hash.Hash().Write(b[:n])
	c.w.n += int64(n)
	if errors.Is(err, io.EOF) {
		if bad := c.w.check(c.d.Digest, c.d.Size); bad != nil {
			err = errors.Join(bad, os.Remove(c.f.Name()))
		}
	}
	c.err = err
	return n, err
}

// Close closes the blob.
func (c *checked) Close() error { return c.f.Close() }
