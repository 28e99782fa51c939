package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Remove forgets ref. A name takes only that name while the image has others; an id or the last name takes the image.
// It returns ErrNotFound, ErrInUse or ErrPinned.
func (s *Store) Remove(ctx context.Context, ref string, o RemoveOptions) error {
	gone, err := s.forget(ref, o)
	if err != nil || !gone {
		return err
	}
	_, err = s.Prune(ctx)
	return err
}

// forget takes the name or the record away and reports whether the image itself is gone.
func (s *Store) forget(ref string, o RemoveOptions) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(ref)
	if r == nil {
		return false, fmt.Errorf("%w: %s", ErrNotFound, ref)
	}
	if r.Pinned {
		return false, fmt.Errorf("remove %s: %w", ref, ErrPinned)
	}
	if n, err := parseName(ref); err == nil && s.names[n.String()] == r.ID && len(r.Names)+len(r.Digests) > 1 && lastName(r, n) == "" {
		return false, s.dropName(r, n.String())
	}
	if o.InUse != nil && o.InUse(s.image(r)) {
		return false, fmt.Errorf("remove %s: %w", ref, ErrInUse)
	}
	if err := os.Remove(s.path("images", recordFile(r.ID))); err != nil {
		return false, err
	}
	delete(s.records, r.ID)
	for n, id := range s.names {
		if id == r.ID {
			delete(s.names, n)
		}
	}
	return true, syncDir(s.path("images"))
}

// lastName returns n where the image has no other tag, "" where others remain.
func lastName(r *record, n name) string {
	for _, x := range r.Names {
		if x != n.String() {
			return ""
		}
	}
	return n.String()
}

// Prune removes the blobs and layers that no image needs, and returns the bytes it freed.
func (s *Store) Prune(ctx context.Context) (int64, error) {
	trash, err := os.MkdirTemp(s.path("tmp"), "trash-")
	if err != nil {
		return 0, err
	}
	freed, err := s.discard(trash)
	return freed, errors.Join(err, os.RemoveAll(trash), s.sweepPartials(time.Now()))
}

// discard moves everything unneeded into trash, which is quick and leaves no half layer behind.
func (s *Store) discard(trash string) (freed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	needed := map[string]bool{}
	for k := range s.holds {
		needed[k] = true
	}
	chains := map[string]bool{}
	for _, r := range s.records {
		for _, b := range r.Blobs {
			needed[b] = true
		}
		for _, l := range r.Layers {
			chains[l.Chain] = true
		}
	}
	for c, u := range s.chains {
		if chains[c] || needed[c] {
			continue
		}
		if err := os.Rename(s.layerDir(c), filepath.Join(trash, fileOf(c))); err != nil {
			return freed, err
		}
		delete(s.chains, c)
		freed += int64(u.Bytes)
	}
	n, err := s.discardBlobs(trash, needed)
	return freed + n, err
}

func (s *Store) discardBlobs(trash string, needed map[string]bool) (freed int64, err error) {
	blobs, err := s.blobs()
	if err != nil {
		return 0, err
	}
	for d, e := range blobs {
		if needed[d] {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return freed, err
		}
		if err := os.Rename(s.blobPath(d), filepath.Join(trash, "blob-"+e.Name())); err != nil {
			return freed, err
		}
		freed += info.Size()
	}
	return freed, nil
}
