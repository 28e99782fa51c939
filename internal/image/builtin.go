package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The image inside the program. Its host is no registry: a pull of it never leaves the machine.
const (
	builtinHost = "minato.local"
	BuiltinName = builtinHost + "/hello:latest"
	builtinFile = "hello"
)

// EnsureBuiltin makes minato.local/hello:latest out of the static program binary, unless it is here already. It does
// not wait for the disk: the content is compared with binary at each call.
func (s *Store) EnsureBuiltin(ctx context.Context, binary []byte) (Image, error) {
	sum := fmt.Sprintf("%x", sha256.Sum256(binary))
	return s.EnsureBuiltinOf(ctx, sum, func() ([]byte, error) { return binary, nil })
}

// EnsureBuiltinOf is EnsureBuiltin for a binary that is known by its SHA-256 (hexadecimal) and fetched only when the
// image has to be made.
func (s *Store) EnsureBuiltinOf(ctx context.Context, sum string, fetch func() ([]byte, error)) (Image, error) {
	if i, ok := s.Resolve(BuiltinName); ok && i.Pinned && len(i.Layers) == 1 {
		if have, err := os.ReadFile(filepath.Join(i.Layers[0], builtinFile)); err == nil && fmt.Sprintf("%x", sha256.Sum256(have)) == sum {
			return i, nil
		}
	}
	binary, err := fetch()
	if err != nil {
		return Image{}, fmt.Errorf("built-in image: %w", err)
	}
	b, err := buildBuiltin(binary)
	if err != nil {
		return Image{}, fmt.Errorf("built-in image: %w", err)
	}
	if err := s.retireBuiltin(b.id); err != nil {
		return Image{}, fmt.Errorf("built-in image: %w", err)
	}
	release := s.hold(b.layer.String())
	defer release()
	if err := s.keepBytes(b.blobs[b.layer], b.layer); err != nil {
		return Image{}, fmt.Errorf("built-in image: %w", err)
	}
	i, err := s.assemble(ctx, b, b.root, naming{names: []string{BuiltinName},
		digests: []string{builtinHost + "/hello@" + b.root.Digest.String()}, pinned: true})
	if err != nil {
		return Image{}, fmt.Errorf("built-in image: %w", err)
	}
	return i, nil
}

// retireBuiltin makes way for the image with the id: an older one loses its pin and, when nothing runs from it any more,
// goes as any unused image; a damaged one goes at once.
func (s *Store) retireBuiltin(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(BuiltinName)
	if r == nil {
		return nil
	}
	if r.ID != id {
		next := *r
		next.Pinned = false
		if err := s.writeRecord(&next); err != nil {
			return err
		}
		s.records[r.ID] = &next
		return nil
	}
	for _, l := range r.Layers {
		delete(s.chains, l.Chain)
		if err := os.RemoveAll(s.layerDir(l.Chain)); err != nil {
			return err
		}
	}
	return nil
}

// keepBytes puts content that is in memory into the store.
func (s *Store) keepBytes(b []byte, d digest.Digest) error {
	w, err := s.newBlob(digest.SHA256)
	if err != nil {
		return err
	}
	defer w.drop()
	if _, err := w.f.Write(b); err != nil {
		return err
	}
	return s.keep(w, d)
}

// builtin is the origin of the built-in image: everything in memory.
type builtin struct {
	root  ocispec.Descriptor
	layer digest.Digest
	id    string // the config's digest
	blobs map[digest.Digest][]byte
}

var _ origin = (*builtin)(nil)

func (b *builtin) document(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
	return b.blobs[d.Digest], nil
}

func (b *builtin) layerSource(d ocispec.Descriptor) layerSource {
	return func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.blobs[d.Digest])), nil
	}
}

// buildBuiltin makes the same bytes for the same binary, anywhere.
func buildBuiltin(binary []byte) (*builtin, error) {
	layer, err := builtinLayer(binary)
	if err != nil {
		return nil, err
	}
	b := &builtin{blobs: map[digest.Digest][]byte{}}
	ld := b.add(ocispec.MediaTypeImageLayer, layer)
	b.layer = ld.Digest
	created := time.Unix(0, 0).UTC()
	config, err := json.Marshal(ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: ocispec.ImageConfig{Entrypoint: []string{"/" + builtinFile}, WorkingDir: "/",
			Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}},
			Labels:       map[string]string{ocispec.AnnotationTitle: "minato hello"}},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{ld.Digest}},
	})
	if err != nil {
		return nil, err
	}
	cd := b.add(ocispec.MediaTypeImageConfig, config)
	b.id = cd.Digest.String()
	manifest, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest, Config: cd, Layers: []ocispec.Descriptor{ld}})
	if err != nil {
		return nil, err
	}
	b.root = b.add(ocispec.MediaTypeImageManifest, manifest)
	return b, nil
}

func (b *builtin) add(mediaType string, content []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	b.blobs[d.Digest] = content
	return d
}

func builtinLayer(binary []byte) ([]byte, error) {
	var layer bytes.Buffer
	layer.Grow(len(binary) + 4096)
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: builtinFile, Mode: 0o755, Size: int64(len(binary)),
		ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}
