package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Config opens a Store.
type Config struct {
	Dir      string
	Log      *slog.Logger
	HostsDir string // optional: <HostsDir>/<registry host>/hosts.toml names mirrors, as containerd reads it
	// RegistriesFile is optional: mirrors, trust and logins as k3s's registries.yaml has them. For a registry that has a
	// hosts.toml its mirrors are not asked.
	RegistriesFile string
	// Transport reaches registries; nil: a plain one that obeys HTTP(S)_PROXY.
	Transport http.RoundTripper
	UserAgent string // "" : "minato"
	// Stall is how long a transfer from a registry may stand still before it is begun again where it stands; 0: a minute.
	Stall time.Duration
}

// Store is the images of one node.
type Store struct {
	cfg    Config
	log    *slog.Logger
	client *http.Client

	pulls  flights[string] // by name and credentials; the value is the image id
	layers flights[struct{}]
	fans   fans
	slots  chan struct{} // transfers at the same time

	mu      sync.Mutex
	records map[string]*record // by image id
	names   map[string]string  // name or digest reference to image id
	chains  map[string]Usage   // unpacked layers by chain id
	holds   map[string]int     // blobs and chain ids that running pulls and loads rely on
	// arrivals are the layers whose partial file a transfer has now.
	arrivals map[digest.Digest]bool
}

// transfers bounds how many layers are fetched and unpacked at the same time.
const transfers = 4

// Open opens the store in cfg.Dir, makes it where it is missing and sweeps away what a crash left half made.
func Open(cfg Config) (*Store, error) {
	if cfg.Stall == 0 {
		cfg.Stall = defaultStall
	}
	s := &Store{cfg: cfg, log: cfg.Log, client: newHTTPClient(cfg.Transport), slots: make(chan struct{}, transfers),
		records: map[string]*record{}, names: map[string]string{}, chains: map[string]Usage{}, holds: map[string]int{}, arrivals: map[digest.Digest]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := os.RemoveAll(s.path("tmp")); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	dirs := []string{"tmp", "partial", "layers", "images"}
	for _, a := range algorithms {
		dirs = append(dirs, filepath.Join("blobs", a.String()))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("open image store: %w", err)
		}
	}
	if err := s.sweepPartials(time.Now()); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if err := s.readRecords(); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if err := s.sweepLayers(); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	return s, nil
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, elem...)...)
}

// sweepLayers removes the layers that no record names: they may never have reached the disk. Blobs stay, for they are
// checked against their digest before anything is made of them.
func (s *Store) sweepLayers() error {
	entries, err := os.ReadDir(s.path("layers"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := s.chains[chainOf(e.Name())]; ok {
			continue
		}
		if err := os.RemoveAll(s.path("layers", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Resolve finds an image by name (short names as Docker reads them), by digest reference, by image id or by an
// unambiguous prefix of the id of at least 12 digits.
func (s *Store) Resolve(ref string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(ref)
	if r == nil {
		return Image{}, false
	}
	return s.image(r), true
}

// find is Resolve under the lock.
func (s *Store) find(ref string) *record {
	if digits, ok := idPrefix(ref); ok {
		var found *record
		for id, r := range s.records {
			if !strings.HasPrefix(fileOf(id), digits) {
				continue
			}
			if found != nil {
				return nil
			}
			found = r
		}
		if found != nil {
			return found
		}
	}
	n, err := parseName(ref)
	if err != nil {
		return nil
	}
	return s.records[s.names[n.String()]]
}

// List returns all images, ordered by name.
func (s *Store) List() []Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Image, 0, len(s.records))
	for _, r := range s.records {
		out = append(out, s.image(r))
	}
	// By index, here and elsewhere: slices.SortFunc is compiled anew for each type of value, at up to 27 KB.
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		return cmp.Or(cmp.Compare(strings.Join(a.Names, " "), strings.Join(b.Names, " ")), cmp.Compare(a.ID, b.ID)) < 0
	})
	return out
}

// Tag gives the image that ref finds the further name.
func (s *Store) Tag(ctx context.Context, ref, newName string) (Image, error) {
	n, err := parseName(newName)
	if err != nil {
		return Image{}, err
	}
	if n.digest != "" {
		return Image{}, fmt.Errorf("%w %q: a digest cannot be given as a name; use NAME:TAG", ErrInvalidName, newName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(ref)
	if r == nil {
		return Image{}, fmt.Errorf("%w: %s", ErrNotFound, ref)
	}
	if err := s.commit(r, []string{n.String()}, nil); err != nil {
		return Image{}, fmt.Errorf("tag %s: %w", n, err)
	}
	return s.image(r), nil
}

// Usage returns what the store takes on disk, counted as it was written.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	blobs, err := s.blobs()
	if err != nil {
		return Usage{}, fmt.Errorf("image store usage: %w", err)
	}
	var u Usage
	for _, e := range blobs {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Usage{}, fmt.Errorf("image store usage: %w", err)
		}
		u.add(uint64(info.Size()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.chains {
		u.Bytes, u.Inodes = u.Bytes+c.Bytes, u.Inodes+c.Inodes
	}
	u.Inodes += uint64(len(s.records))
	return u, nil
}

// add counts one file of n bytes in whole blocks.
func (u *Usage) add(n uint64) {
	const block = 4096
	u.Bytes += (n + block - 1) / block * block
	u.Inodes++
}

// hold keeps the garbage collector away from keys until the returned function is called.
func (s *Store) hold(keys ...string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.holds[k]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range keys {
			if s.holds[k]--; s.holds[k] == 0 {
				delete(s.holds, k)
			}
		}
	}
}
