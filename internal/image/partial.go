package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A layer that has not wholly arrived stays under partial/<hex>, so that a pull that was broken off, by whatever, goes on
// there instead of at its beginning. Nobody trusts what is in it: it is read and hashed like what comes after it.

// partialAge is how long an unfinished layer waits for its next pull.
const partialAge = 24 * time.Hour

// partialWriter opens what is there of a layer, positioned at its beginning, and how much that is. Two transfers of one
// layer at a time (into different images) cannot share it: the second starts anew.
func (s *Store) partialWriter(d ocispec.Descriptor) (w *blobWriter, have int64, err error) {
	s.mu.Lock()
	taken := s.arrivals[d.Digest]
	if !taken {
		s.arrivals[d.Digest] = true
	}
	s.mu.Unlock()
	if taken {
		w, err = s.newBlob(d.Digest.Algorithm())
		return w, 0, err
	}
	f, err := os.OpenFile(s.path("partial", d.Digest.Encoded()), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.arrived(d.Digest)
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() >= d.Size { // whole, and yet not kept: it cannot be right
		err = f.Truncate(0)
	} else if err == nil {
		have = st.Size()
	}
	if err == nil {
		err = roomFor(int(f.Fd()), d.Size-have)
	}
	if err != nil {
		s.arrived(d.Digest)
		return nil, 0, errors.Join(err, f.Close())
	}
	return &blobWriter{f: f, hash: d.Digest.Algorithm().Digester(), partial: true}, have, nil
}

// arrived lets another transfer of the layer have its file.
func (s *Store) arrived(d digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.arrivals, d)
}

// resumed reads what is there of a blob and then the rest from the registry.
func (ses *session) resumed(ctx context.Context, d ocispec.Descriptor, w *blobWriter, have int64) (io.ReadCloser, error) {
	rest, err := ses.blob(ctx, d, have)
	if err != nil || have == 0 {
		return rest, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&again{w: w, left: have}, rest), rest}, nil
}

// again reads the beginning of a partial blob; the blobWriter need not write that.
type again struct {
	w    *blobWriter
	left int64
}

// Read implements io.Reader.
func (a *again) Read(b []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.w.f.ReadAt(b[:min(int64(len(b)), a.left)], a.w.n)
	a.left -= int64(n)
	a.w.have = a.w.n + int64(n)
	return n, err
}

// sweepPartials forgets unfinished layers that nobody has asked for again.
func (s *Store) sweepPartials(now time.Time) error {
	entries, err := os.ReadDir(s.path("partial"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) || err == nil && now.Sub(info.ModTime()) < partialAge {
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(s.path("partial"), e.Name()))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
