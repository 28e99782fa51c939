package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Format is how Save writes.
type Format string

// The formats of Save.
const (
	// OCIArchive is an image layout with Docker's manifest.json beside it, as docker save writes it today: every tool
	// that reads either kind reads it. Manifests and so digests stay what they are.
	OCIArchive Format = "oci-archive"
	// DockerArchive has manifest.json only, as docker save wrote it before; it has no place for manifests.
	DockerArchive Format = "docker-archive"
)

// Save writes the images that refs find to w. A name is saved alone, an id with all of its names. It returns
// ErrNotFound, ErrIncomplete or what w said.
func (s *Store) Save(ctx context.Context, w io.Writer, format Format, refs ...string) error {
	if format != OCIArchive && format != DockerArchive {
		return fmt.Errorf("save: format %q: must be %s or %s", format, OCIArchive, DockerArchive)
	}
	a := &outgoing{store: s, tar: tar.NewWriter(w), written: map[string]bool{}}
	var all []saved
	for _, ref := range refs {
		c, release, err := s.content(ref)
		if err != nil {
			return fmt.Errorf("save %s: %w", ref, err)
		}
		defer release()
		all = append(all, saved{c, c.img.called(ref)})
	}
	err := a.docker(ctx, all)
	if format == OCIArchive {
		err = a.oci(ctx, all)
	}
	if err == nil {
		err = a.tar.Close()
	}
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// saved is one image and the names that it gets in the archive.
type saved struct {
	content
	names []string
}

// called are the names to save i under when it was asked for by ref.
func (i Image) called(ref string) []string {
	if n, err := parseName(ref); err == nil && n.digest == "" && i.HasName(n.String()) {
		return []string{n.String()}
	}
	return i.Names
}

// outgoing is an archive that is being written.
type outgoing struct {
	store   *Store
	tar     *tar.Writer
	written map[string]bool
}

func (a *outgoing) oci(ctx context.Context, all []saved) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	var entries []dockerEntry
	blob := func(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }
	for _, i := range all {
		names := i.names
		if len(names) == 0 {
			names = []string{""}
		}
		for _, n := range names {
			d := i.root
			if n != "" {
				d.Annotations = map[string]string{containerdName: n, ocispec.AnnotationRefName: n}
			}
			index.Manifests = append(index.Manifests, d)
		}
		entries = append(entries, i.entry(blob))
	}
	if err := errors.Join(a.json("oci-layout", ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}),
		a.json("index.json", index), a.json("manifest.json", entries)); err != nil {
		return err
	}
	for _, i := range all {
		if err := a.bytes(blob(i.root.Digest), i.raw); err != nil {
			return err
		}
		for _, d := range i.parts() {
			if err := a.blob(ctx, blob(d.Digest), d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *outgoing) docker(ctx context.Context, all []saved) error {
	name := func(d digest.Digest) string { return d.Encoded() + ".tar" }
	var entries []dockerEntry
	for _, i := range all {
		e := i.entry(name)
		e.Config = i.doc.Config.Digest.Encoded() + ".json"
		entries = append(entries, e)
	}
	if err := a.json("manifest.json", entries); err != nil {
		return err
	}
	for _, i := range all {
		if err := a.blob(ctx, i.doc.Config.Digest.Encoded()+".json", *i.doc.Config); err != nil {
			return err
		}
		for _, d := range i.doc.Layers {
			if err := a.blob(ctx, name(d.Digest), d); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is the image's line in manifest.json; at says where a blob is.
func (i saved) entry(at func(digest.Digest) string) dockerEntry {
	e := dockerEntry{Config: at(i.doc.Config.Digest), RepoTags: i.names, Layers: []string{}}
	for _, d := range i.doc.Layers {
		e.Layers = append(e.Layers, at(d.Digest))
	}
	return e
}

func (a *outgoing) json(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.bytes(name, raw)
}

func (a *outgoing) bytes(name string, b []byte) error {
	return a.entry(name, int64(len(b)), strings.NewReader(string(b)))
}

// blob copies one blob of the store, which is checked on the way.
func (a *outgoing) blob(ctx context.Context, name string, d ocispec.Descriptor) error {
	if a.written[name] {
		return nil
	}
	st, err := os.Stat(a.store.blobPath(d.Digest.String()))
	if err != nil {
		return err
	}
	d.Size = st.Size()
	r, err := a.store.openBlob(d)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.entry(name, d.Size, until(ctx, r))
}

// entry writes one file; the same name is written once. Times are zero, so that equal images make equal archives.
func (a *outgoing) entry(name string, size int64, r io.Reader) error {
	if a.written[name] {
		return nil
	}
	a.written[name] = true
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, r)
	return err
}
