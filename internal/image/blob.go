package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
)

// maxDocument bounds manifests and configs, which are read into memory.
const maxDocument = 8 << 20

func (s *Store) blobPath(d string) string {
	algorithm, digits, ok := strings.Cut(d, ":")
	if !ok {
		algorithm, digits = digest.SHA256.String(), d
	}
	return s.path("blobs", algorithm, digits)
}

// blobs are all that are here, by digest.
func (s *Store) blobs() (map[string]os.DirEntry, error) {
	out := map[string]os.DirEntry{}
	for _, a := range algorithms {
		entries, err := os.ReadDir(s.path("blobs", a.String()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			out[a.String()+":"+e.Name()] = e
		}
	}
	return out, nil
}

// readBlob returns a manifest or config and checks it.
func (s *Store) readBlob(d string) ([]byte, error) {
	f, err := os.Open(s.blobPath(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument))
	if err != nil {
		return nil, err
	}
	if got := like(digest.Digest(d), b).String(); got != d {
		return nil, fmt.Errorf("blob %s: %w: it is %s", d, ErrDigest, got)
	}
	return b, nil
}

// putBlob keeps a manifest or config, whose digest is d.
func (s *Store) putBlob(d digest.Digest, b []byte, durable bool) error {
	if _, err := s.readBlob(d.String()); err == nil {
		return nil
	}
	return writeFile(s.path("tmp"), s.blobPath(d.String()), b, durable)
}

// blobWriter receives one blob of known digest and size, or of unknown ones where want is "".
type blobWriter struct {
	f    *os.File
	hash digest.Digester
	n    int64
	// partial blobs stay where they are until they are whole; of such a one the first have bytes are there already.
	partial bool
	have    int64
}

func (s *Store) newBlob(a digest.Algorithm) (*blobWriter, error) {
	f, err := os.CreateTemp(s.path("tmp"), "blob-")
	if err != nil {
		return nil, err
	}
	return &blobWriter{f: f, hash: a.Digester()}, nil
}

func (w *blobWriter) Write(b []byte) (n int, err error) {
	if n = len(b); w.n >= w.have {
		n, err = w.f.WriteAt(b, w.n)
	}
	w.hash.Hash().Write(b[:n])
	w.n += int64(n)
	return n, err
}

// check compares what came with what was promised; size below 0 is unknown.
func (w *blobWriter) check(want digest.Digest, size int64) error {
	return checkContent(want, size, w.hash.Digest(), w.n)
}

func checkContent(want digest.Digest, size int64, got digest.Digest, n int64) error {
	if size >= 0 && n != size {
		return fmt.Errorf("blob %s: %w: %d bytes instead of %d", want, ErrDigest, n, size)
	}
	if got != want {
		return fmt.Errorf("blob %s: %w: it is %s", want, ErrDigest, got)
	}
	return nil
}

// keep moves the blob to its place. Whoever writes a record that names it syncs the file system first.
func (s *Store) keep(w *blobWriter, d digest.Digest) error {
	if err := w.f.Close(); err != nil {
		return err
	}
	return os.Rename(w.f.Name(), s.blobPath(d.String()))
}

// drop forgets an unfinished blob; after keep it does nothing.
func (w *blobWriter) drop() {
	_ = w.f.Close() // it is closed already after keep
	_ = os.Remove(w.f.Name())
}

// leave closes an unfinished blob, which stays for the next try where it is a partial one.
func (w *blobWriter) leave() {
	if !w.partial || w.n == 0 {
		w.drop()
		return
	}
	_ = w.f.Close() // it is closed already after keep
}

// until makes r end with ctx's error when ctx ends.
func until(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
