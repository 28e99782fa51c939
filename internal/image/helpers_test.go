package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(Config{Dir: t.TempDir()})
	ok(t, err)
	return s
}

// entry is one line of a layer: a file with content, or what the header says.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

func dir(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}, ""}
}

func link(kind byte, name, to string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o777}, ""}
}

func layer(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.content))
		ok(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, e.content)
		ok(t, err)
	}
	ok(t, w.Close())
	return b.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	ok(t, err)
	ok(t, w.Close())
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	ok(t, err)
	return w.EncodeAll(b, nil)
}

// made is an image in memory.
type made struct {
	by     digest.Algorithm
	blobs  map[digest.Digest][]byte
	root   ocispec.Descriptor
	config ocispec.Descriptor
}

func (m *made) add(mediaType string, b []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: m.by.FromBytes(b), Size: int64(len(b))}
	m.blobs[d.Digest] = b
	return d
}

func (m *made) addJSON(t testing.TB, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	b, err := json.Marshal(v)
	ok(t, err)
	return m.add(mediaType, b)
}

// build makes an image of tar layers, each compressed by pack (nil: not).
func build(t testing.TB, change func(*ocispec.Image, *ocispec.Manifest), pack func(testing.TB, []byte) []byte, layers ...[]byte) *made {
	t.Helper()
	return buildBy(t, digest.SHA256, change, pack, layers...)
}

// buildBy is build with digests of another algorithm.
func buildBy(t testing.TB, by digest.Algorithm, change func(*ocispec.Image, *ocispec.Manifest), pack func(testing.TB, []byte) []byte, layers ...[]byte) *made {
	t.Helper()
	m := &made{by: by, blobs: map[digest.Digest][]byte{}}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: ocispec.ImageConfig{User: "1000", Cmd: []string{"/bin/sh"}}, RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, by.FromBytes(l))
		if pack != nil {
			l = pack(t, l)
		}
		manifest.Layers = append(manifest.Layers, m.add(ocispec.MediaTypeImageLayerGzip, l))
	}
	if change != nil {
		change(&config, &manifest)
	}
	manifest.Config = m.addJSON(t, ocispec.MediaTypeImageConfig, config)
	m.config = manifest.Config
	m.root = m.addJSON(t, ocispec.MediaTypeImageManifest, manifest)
	return m
}

// ociArchive writes the image as an OCI archive with the given name.
func (m *made) ociArchive(t testing.TB, name string) []byte {
	t.Helper()
	d := m.root
	if name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{d}})
	ok(t, err)
	files := []entry{file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`), file("index.json", string(index))}
	for d, b := range m.blobs {
		files = append(files, file("blobs/"+d.Algorithm().String()+"/"+d.Encoded(), string(b)))
	}
	return layer(t, files...)
}

// packed runs a program of the machine to compress b.
func packed(program string) func(testing.TB, []byte) []byte {
	return func(t testing.TB, b []byte) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, "-c")
		cmd.Stdin = bytes.NewReader(b)
		out, err := cmd.Output()
		ok(t, err)
		return out
	}
}

func load(t testing.TB, s *Store, archive []byte) Image {
	t.Helper()
	got, err := s.Load(t.Context(), bytes.NewReader(archive), LoadOptions{})
	ok(t, err)
	if len(got) != 1 {
		t.Fatalf("loaded %d images", len(got))
	}
	return got[0]
}

func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}
