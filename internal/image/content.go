package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrIncomplete is returned by Save and Push when the store does not have a layer as its manifest names it: somebody has
// removed it, or an earlier release did not fetch it because an equal layer, compressed otherwise, was here.
var ErrIncomplete = errors.New("image is not complete")

// content is an image as it can be given to others: a manifest whose parts are all here.
type content struct {
	img  Image
	root ocispec.Descriptor
	raw  []byte // the manifest
	doc  document
}

// content finds what ref's image consists of and keeps the collector away from it until release is called.
func (s *Store) content(ref string) (c content, release func(), err error) {
	s.mu.Lock()
	r := s.find(ref)
	if r == nil {
		s.mu.Unlock()
		return c, nil, fmt.Errorf("%w: %s", ErrNotFound, ref)
	}
	own, img := *r, s.image(r)
	s.mu.Unlock()
	release = s.hold(own.Blobs...)
	c, err = s.manifestOf(own)
	c.img = img
	if err != nil {
		release()
		return c, nil, err
	}
	return c, release, nil
}

// isWhole reports whether ref's image could be given to others.
func (s *Store) isWhole(ref string) bool {
	_, release, err := s.content(ref)
	if err != nil {
		return false
	}
	release()
	return true
}

// manifestOf prefers the manifest that came last; an image may have several, for its layers can be compressed in
// several ways.
func (s *Store) manifestOf(r record) (content, error) {
	incomplete := fmt.Errorf("%w: %s has no manifest", ErrIncomplete, r.ID)
	for _, d := range append([]string{r.Manifest}, r.Blobs...) {
		c, ok := s.readManifest(d, r.ID)
		if !ok {
			continue
		}
		missing := s.missing(c.doc.Layers)
		if missing == "" {
			return c, nil
		}
		incomplete = fmt.Errorf("%w: layer %s of %s is here only in another form; pull or load the image again",
			ErrIncomplete, missing, r.ID)
	}
	return content{}, incomplete
}

// readManifest returns blob d if it is a manifest of the config id. Large blobs are layers and not looked into.
func (s *Store) readManifest(d, id string) (c content, ok bool) {
	if st, err := os.Stat(s.blobPath(d)); d == "" || err != nil || st.Size() > maxDocument || !s.beginsWith(d, "{") {
		return c, false
	}
	raw, err := s.readBlob(d)
	if err != nil {
		return c, false
	}
	doc, err := parseDocument(raw)
	if err != nil || doc.isIndex() || doc.Config.Digest.String() != id {
		return c, false
	}
	if doc.MediaType == "" {
		doc.MediaType = ocispec.MediaTypeImageManifest
	}
	root := ocispec.Descriptor{MediaType: doc.MediaType, Digest: digest.Digest(d), Size: int64(len(raw))}
	return content{root: root, raw: raw, doc: doc}, true
}

// missing names a layer whose blob is not here.
func (s *Store) missing(layers []ocispec.Descriptor) string {
	for _, l := range layers {
		if _, err := os.Stat(s.blobPath(l.Digest.String())); err != nil {
			return l.Digest.String()
		}
	}
	return ""
}

func (s *Store) beginsWith(d, text string) bool {
	head, err := s.head(d, len(text))
	return err == nil && string(head) == text
}

// head returns the first bytes of a blob, up to n.
func (s *Store) head(d string, n int) ([]byte, error) {
	f, err := os.Open(s.blobPath(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, int64(n)))
	return head, err
}

// layerType looks at how a layer that came without a media type is compressed.
func (s *Store) layerType(d string) (string, error) {
	head, err := s.head(d, 4)
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		return ocispec.MediaTypeImageLayerGzip, err
	case bytes.HasPrefix(head, zstdMagic):
		return ocispec.MediaTypeImageLayerZstd, err
	}
	return ocispec.MediaTypeImageLayer, err
}

// parts are everything below the manifest: the config, then the layers, each once.
func (c content) parts() (out []ocispec.Descriptor) {
	seen := map[digest.Digest]bool{}
	for _, d := range append([]ocispec.Descriptor{*c.doc.Config}, c.doc.Layers...) {
		if !seen[d.Digest] {
			out = append(out, d)
		}
		seen[d.Digest] = true
	}
	return out
}
