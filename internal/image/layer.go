package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// A layer's chain id names it together with everything below it.
func chainOf(dir string) string { return ofFile(dir) }

func (s *Store) layerDir(chain string) string {
	return s.path("layers", fileOf(chain))
}

func (s *Store) layerFS(chain string) string { return filepath.Join(s.layerDir(chain), "fs") }

// emptyChain stands for the layers of an image that has none, so that there is always something to mount.
var emptyChain = digest.FromBytes(nil)

// chainIDs computes the chain ids of the layers whose uncompressed digests are given, the lowest first.
func chainIDs(diffs []digest.Digest) []string {
	var out []string
	for i, d := range diffs {
		if i > 0 {
			d = digest.FromString(out[i-1] + " " + d.String())
		}
		out = append(out, d.String())
	}
	return out
}

// layerSource opens a layer's bytes as they are transferred. The reader is read once, to its end.
type layerSource func(ctx context.Context) (io.ReadCloser, error)

// layerPlan is one layer on its way into the store.
type layerPlan struct {
	desc   ocispec.Descriptor
	diff   digest.Digest
	chain  string
	source layerSource
	below  []string // chain ids under it, the nearest first
	whole  bool     // its source keeps what is read of it, and it is to be here as it is transferred too
}

// unpack makes the layer's directory unless it is here. below is called when the lower layers are needed and returns
// when they are here.
func (s *Store) unpack(ctx context.Context, p layerPlan, below func(ctx context.Context) error) error {
	_, err := s.layers.do(ctx, p.chain, func(ctx context.Context) (struct{}, error) {
		if s.hasLayer(p.chain) {
			return struct{}{}, nil
		}
		return struct{}{}, s.makeLayer(ctx, p, below)
	})
	return err
}

func (s *Store) hasLayer(chain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.chains[chain]
	return ok
}

func (s *Store) makeLayer(ctx context.Context, p layerPlan, below func(ctx context.Context) error) (err error) {
	tmp, err := os.MkdirTemp(s.path("tmp"), "layer-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	root := filepath.Join(tmp, "fs")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	implied, use, err := s.fill(ctx, p, root)
	if err != nil {
		return err
	}
	if err := below(ctx); err != nil {
		return err
	}
	if err := s.inherit(root, implied, p.below); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.layerDir(p.chain)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chains[p.chain] = use
	return nil
}

// fill takes a slot for the transfer, reads the source and checks both digests.
func (s *Store) fill(ctx context.Context, p layerPlan, root string) ([]string, Usage, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, Usage{}, context.Cause(ctx)
	}
	defer func() { <-s.slots }()
	src, err := p.source(ctx)
	if err != nil {
		return nil, Usage{}, err
	}
	defer src.Close()
	plain, err := decompress(src)
	if err != nil {
		return nil, Usage{}, layerError(ctx, "", err)
	}
	defer plain.Close()
	hash := p.diff.Algorithm().Digester()
	tee := io.TeeReader(plain, hash.Hash())
	implied, use, unpackErr := unpackTar(ctx, root, tee)
	if unpackErr != nil {
		plain.Close() // nobody else may read src meanwhile
		// Wrong bytes explain a broken archive better than the archive's own complaint: read on to learn the digest.
		if _, err := io.Copy(io.Discard, until(ctx, src)); errors.Is(err, ErrDigest) {
			return nil, Usage{}, err
		}
		return nil, Usage{}, unpackErr
	}
	if _, err := io.Copy(io.Discard, until(ctx, tee)); err != nil {
		return nil, Usage{}, err
	}
	if _, err := io.Copy(io.Discard, until(ctx, src)); err != nil {
		return nil, Usage{}, err
	}
	if got := hash.Digest(); got != p.diff {
		return nil, Usage{}, fmt.Errorf("%w: unpacked it is %s, the config says %s", ErrDigest, got, p.diff)
	}
	return implied, use, nil
}

// fetchMissing brings a layer that was unpacked from another form, compressed otherwise, as its manifest names it: without
// that the image could not be given to anybody.
func (s *Store) fetchMissing(ctx context.Context, p layerPlan) error {
	if s.missing([]ocispec.Descriptor{p.desc}) == "" {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.slots }()
	src, err := p.source(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	_, err = io.Copy(io.Discard, until(ctx, src))
	return err
}

// inherit gives directories that the layer only passes through the attributes they have in the nearest lower layer,
// because overlayfs shows those of the topmost.
func (s *Store) inherit(root string, implied, below []string) error {
	for _, dir := range implied {
		for _, chain := range below {
			st, err := statDir(s.layerFS(chain), dir)
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
				break // something else is there below; this layer's directory replaces it
			}
			if err != nil {
				return err
			}
			if err := dressDir(root, dir, st); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// statDir looks at a directory inside an unpacked layer.
func statDir(root, dir string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := inDir(root, dir, func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}

func dressDir(root, dir string, st unix.Stat_t) error {
	return inDir(root, dir, func(fd int) error {
		return errors.Join(unix.Fchown(fd, int(st.Uid), int(st.Gid)), unix.Fchmod(fd, st.Mode&0o7777))
	})
}

func inDir(root, dir string, do func(fd int) error) error {
	r, err := os.Open(root)
	if err != nil {
		return err
	}
	defer r.Close()
	fd, err := openInRoot(int(r.Fd()), dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// sync brings everything written so far to the disk, before a record says that it is there.
func (s *Store) sync() error {
	d, err := os.Open(s.cfg.Dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
