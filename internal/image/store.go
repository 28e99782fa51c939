package image

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
)

// Config opens a Store.
type Config struct {
	Dir      string
	Log      *slog.Logger
	HostsDir string // optional: <HostsDir>/<registry host>/hosts.toml names mirrors, as containerd reads it
	// Transport reaches registries; nil: a plain one that obeys HTTP(S)_PROXY.
	Transport http.RoundTripper
	UserAgent string // "" : "minato"
}

// Store is the images of one node.
type Store struct{ cfg Config }

// Open opens the store in cfg.Dir, makes it where it is missing and sweeps away what a crash left half made.
func Open(cfg Config) (*Store, error) { return &Store{cfg: cfg}, nil }

var errLater = errors.New("image: not built yet")

// Pull fetches r.Ref for this machine's platform, unpacks it and returns it. Equal pulls at the same time share one
// transfer. A name that is here already is asked for again at the registry (its tag may have moved), a digest is not.
func (s *Store) Pull(ctx context.Context, r PullRequest) (Image, error) { return Image{}, errLater }

// Load reads an OCI archive or a docker-archive (docker save), plain or compressed by gzip or zstd, and returns the
// images in it.
func (s *Store) Load(ctx context.Context, r io.Reader, o LoadOptions) ([]Image, error) {
	return nil, errLater
}

// EnsureBuiltin makes minato.local/hello:latest out of the static program binary, unless it is here already.
func (s *Store) EnsureBuiltin(ctx context.Context, binary []byte) (Image, error) {
	return Image{}, errLater
}

// Resolve finds an image by name (short names as Docker reads them), by digest reference, by image id or by an
// unambiguous prefix of the id of at least 12 digits.
func (s *Store) Resolve(ref string) (Image, bool) { return Image{}, false }

// List returns all images, ordered by name.
func (s *Store) List() []Image { return nil }

// Remove forgets ref. A name takes only that name while the image has others; an id or the last name takes the image.
func (s *Store) Remove(ctx context.Context, ref string, o RemoveOptions) error { return errLater }

// Tag gives the image that ref finds the further name.
func (s *Store) Tag(ctx context.Context, ref, name string) (Image, error) { return Image{}, errLater }

// Usage returns what the store takes on disk.
func (s *Store) Usage(ctx context.Context) (Usage, error) { return Usage{}, errLater }

// Prune removes the blobs and layers that no image needs, and returns the bytes it freed.
func (s *Store) Prune(ctx context.Context) (int64, error) { return 0, errLater }
