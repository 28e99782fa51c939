package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// record is what is kept on disk of one image. The file's name is the image id.
type record struct {
	ID       string        `json:"id"`
	Names    []string      `json:"names,omitempty"`
	Digests  []string      `json:"digests,omitempty"`
	Manifest string        `json:"manifest,omitempty"` // the one that came last; records of older versions have none
	Blobs    []string      `json:"blobs"`              // everything it needs: indexes, manifests, config, layers
	Layers   []layerRecord `json:"layers"`
	Size     int64         `json:"size"`
	Pinned   bool          `json:"pinned,omitempty"`
	Local    bool          `json:"local,omitempty"` // no registry is known to have it
	Loaded   time.Time     `json:"loaded"`

	config ocispec.Image
	// volatile records are not forced to the disk: whoever makes them looks at each start whether they are still good.
	volatile bool
}

// layerRecord is one unpacked layer, in the order of the config: the lowest first.
type layerRecord struct {
	Chain  string `json:"chain"`
	Bytes  uint64 `json:"bytes"`
	Inodes uint64 `json:"inodes"`
}

func (s *Store) readRecords() error {
	entries, err := os.ReadDir(s.path("images"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		r, err := s.readRecord(e.Name())
		if err != nil {
			// An image that cannot be read is one that is not here; it will be pulled again.
			s.log.Warn("image record dropped", "file", e.Name(), "err", err)
			if err := os.Remove(s.path("images", e.Name())); err != nil {
				return err
			}
			continue
		}
		s.remember(r)
	}
	return nil
}

func (s *Store) readRecord(file string) (*record, error) {
	raw, err := os.ReadFile(s.path("images", file))
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, err
	}
	if file != recordFile(r.ID) {
		return nil, fmt.Errorf("the record speaks of image %q", r.ID)
	}
	config, err := s.readBlob(r.ID)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(config, &r.config); err != nil {
		return nil, err
	}
	for _, l := range r.Layers {
		if _, err := os.Stat(s.layerFS(l.Chain)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// remember puts r into the maps; the caller holds mu or is alone.
func (s *Store) remember(r *record) {
	s.records[r.ID] = r
	for _, n := range slices.Concat(r.Names, r.Digests) {
		s.names[n] = r.ID
	}
	for _, l := range r.Layers {
		s.chains[l.Chain] = Usage{l.Bytes, l.Inodes}
	}
}

// commit makes r, with further names and digests, part of the store and moves a name that another image had. The
// caller holds mu.
func (s *Store) commit(r *record, names, digests []string) error {
	next := *r
	if old := s.records[r.ID]; old != nil {
		next.Names, next.Digests = old.Names, old.Digests
		next.Blobs = union(old.Blobs, r.Blobs)
		next.Pinned = old.Pinned || r.Pinned
		next.Local = old.Local && r.Local
		next.Loaded = old.Loaded
	}
	next.Names, next.Digests = union(next.Names, names), union(next.Digests, digests)
	if err := s.writeRecord(&next); err != nil {
		return err
	}
	for _, n := range names {
		if id := s.names[n]; id != "" && id != r.ID {
			if err := s.dropName(s.records[id], n); err != nil {
				return err
			}
		}
	}
	s.remember(&next)
	*r = next
	return nil
}

// dropName takes the name from r, which stays in the store; the caller holds mu.
func (s *Store) dropName(r *record, n string) error {
	next := *r
	drop := func(x string) bool { return x == n }
	next.Names = slices.DeleteFunc(slices.Clone(r.Names), drop)
	next.Digests = slices.DeleteFunc(slices.Clone(r.Digests), drop)
	if err := s.writeRecord(&next); err != nil {
		return err
	}
	delete(s.names, n)
	s.records[r.ID] = &next
	return nil
}

func (s *Store) writeRecord(r *record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(s.path("tmp"), s.path("images", recordFile(r.ID)), raw, !r.volatile)
}

// image makes the public copy of r.
func (s *Store) image(r *record) Image {
	i := Image{ID: r.ID, Names: slices.Clone(r.Names), Digests: slices.Clone(r.Digests), Size: r.Size,
		Config: r.config, Pinned: r.Pinned, Local: r.Local, Loaded: r.Loaded}
	if r.config.Created != nil {
		i.Created = *r.config.Created
	}
	for _, l := range slices.Backward(r.Layers) {
		i.Layers = append(i.Layers, s.layerFS(l.Chain))
		i.Chain = append(i.Chain, l.Chain)
	}
	return i
}

func recordFile(id string) string { return fileOf(id) + ".json" }

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	slices.Sort(out)
	return out
}

// writeFile puts data under path so that a crash leaves the old content or the new, never a mixture; a power cut too,
// where durable is set.
func writeFile(tmpDir, path string, data []byte, durable bool) (err error) {
	f, err := os.CreateTemp(tmpDir, "file-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil || !durable {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
