package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrArchive is returned by Load for input that is neither an OCI archive nor a docker-archive, or is broken.
var ErrArchive = errors.New("invalid image archive")

// Load reads an OCI archive or a docker-archive (docker save), plain or compressed by gzip, zstd, bzip2 or xz, and returns the
// images in it.
func (s *Store) Load(ctx context.Context, r io.Reader, o LoadOptions) ([]Image, error) {
	out, err := s.load(ctx, r, o)
	if _, e := s.Prune(ctx); err == nil && e != nil { // other platforms' parts, or what a broken archive left
		err = fmt.Errorf("load: %w", e)
	}
	return out, err
}

func (s *Store) load(ctx context.Context, r io.Reader, o LoadOptions) ([]Image, error) {
	a, err := s.readArchive(ctx, r)
	defer a.release()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	found, err := a.images(ctx)
	if err != nil {
		return nil, fmt.Errorf("load: %w: %w", ErrArchive, err)
	}
	if err := o.rename(found); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	var out []Image
	for _, f := range found {
		i, err := s.assemble(ctx, a, f.root, f.naming)
		if err != nil {
			return out, fmt.Errorf("load %s: %w", strings.Join(f.naming.names, ", "), err)
		}
		out = append(out, i)
	}
	return out, nil
}

// rename gives the only image the wished name.
func (o LoadOptions) rename(found []archived) error {
	if o.Name == "" {
		return nil
	}
	n, err := parseName(o.Name)
	if err != nil {
		return err
	}
	if n.digest != "" {
		return fmt.Errorf("%w %q: a digest cannot be given as a name; use NAME:TAG", ErrInvalidName, o.Name)
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: it holds %d images, so one name does not fit; load it without a name", ErrArchive, len(found))
	}
	f := &found[0]
	f.naming.names = []string{n.String()}
	if !f.made {
		f.naming.digests = []string{n.repository() + "@" + f.root.Digest.String()}
	}
	return nil
}

// archive is what was read of one: every file became a blob of the store.
type archive struct {
	store    *Store
	files    map[string]ocispec.Descriptor // by path inside the archive; digest and size are those of the content
	links    map[string]string
	made     map[digest.Digest][]byte // manifests that a docker-archive does not have
	releases []func()
}

var _ origin = (*archive)(nil)

// archived is one image of an archive.
type archived struct {
	root   ocispec.Descriptor
	naming naming
	made   bool // the manifest is ours, so its digest means nothing to others
}

func (a *archive) release() {
	for _, f := range a.releases {
		f()
	}
}

// readArchive always returns an archive, to be released.
func (s *Store) readArchive(ctx context.Context, r io.Reader) (*archive, error) {
	a := &archive{store: s, files: map[string]ocispec.Descriptor{}, links: map[string]string{}, made: map[digest.Digest][]byte{}}
	plain, err := decompress(until(ctx, r))
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	defer plain.Close()
	t := tar.NewReader(plain)
	for {
		hdr, err := t.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if ctx.Err() != nil {
			return a, context.Cause(ctx)
		}
		if err != nil {
			return a, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if err := a.take(hdr, t); err != nil {
			return a, fmt.Errorf("entry %q: %w", hdr.Name, err)
		}
	}
}

// take keeps one file of the archive.
func (a *archive) take(hdr *tar.Header, body io.Reader) error {
	at, err := cleanName(hdr.Name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	switch hdr.Typeflag {
	case tar.TypeSymlink:
		a.links[at] = path.Join(path.Dir(at), hdr.Linkname)
		return nil
	case tar.TypeLink:
		a.links[at] = path.Clean(hdr.Linkname)
		return nil
	case tar.TypeReg, tar.TypeRegA:
	default:
		return nil
	}
	algorithm, want := digest.SHA256, named(at)
	if want != "" {
		algorithm = want.Algorithm()
	}
	d, err := a.keep(body, algorithm, want)
	if err == nil {
		a.files[at] = d
	}
	return err
}

// keep makes a blob of the store, whose digest is want where that is not "".
func (a *archive) keep(body io.Reader, algorithm digest.Algorithm, want digest.Digest) (ocispec.Descriptor, error) {
	w, err := a.store.newBlob(algorithm)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer w.drop()
	if _, err := io.Copy(w, body); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	d := w.hash.Digest()
	if want != "" && want != d {
		return ocispec.Descriptor{}, fmt.Errorf("%w: it is %s", ErrDigest, d)
	}
	a.releases = append(a.releases, a.store.hold(d.String()))
	return ocispec.Descriptor{Digest: d, Size: w.n}, a.store.keep(w, d)
}

// named is the digest that a path of an OCI layout promises, "" for other paths.
func named(at string) digest.Digest {
	if rest, ok := strings.CutPrefix(at, "blobs/"); ok {
		if d := digest.Digest(strings.Replace(rest, "/", ":", 1)); checkDigest(d) == nil {
			return d
		}
	}
	return ""
}

// file finds a path of the archive, through its links.
func (a *archive) file(at string) (ocispec.Descriptor, bool) {
	at = path.Clean(at)
	for range 8 {
		if d, ok := a.files[at]; ok {
			return d, true
		}
		to, ok := a.links[at]
		if !ok {
			break
		}
		at = to
	}
	return ocispec.Descriptor{}, false
}

// read decodes a JSON file of the archive; false where it has none.
func (a *archive) read(at string, into any) (bool, error) {
	d, ok := a.file(at)
	if !ok {
		return false, nil
	}
	raw, err := a.store.readBlob(d.Digest.String())
	if err != nil {
		return true, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return true, fmt.Errorf("%s: %w", at, err)
	}
	return true, nil
}

func (a *archive) document(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
	if raw, ok := a.made[d.Digest]; ok {
		return raw, nil
	}
	raw, err := a.store.readBlob(d.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("%w: blob %s (%s) is missing: %w", ErrArchive, d.Digest, d.MediaType, err)
	}
	return raw, nil
}

func (a *archive) layerSource(d ocispec.Descriptor) layerSource {
	return func(context.Context) (io.ReadCloser, error) {
		r, err := a.store.openBlob(d)
		if err != nil {
			return nil, fmt.Errorf("%w: layer %s is missing: %w", ErrArchive, d.Digest, err)
		}
		return r, nil
	}
}
