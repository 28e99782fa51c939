package kit

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	ctdimages "github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato.dev/minato/internal/run"
)

// images is where BuildKit's image exporter puts names: to name an image is to give it to the node.
type images struct {
	node    *node
	content content.Store
}

var _ ctdimages.Store = (*images)(nil)

// Create gives the image under its name to the node, while the exporter still holds its content.
func (s *images) Create(ctx context.Context, img ctdimages.Image) (ctdimages.Image, error) {
	err := run.With(ctx, func(scope *run.Scope) error {
		r, w := io.Pipe()
		scope.Go("archive", func(ctx context.Context) error {
			err := s.archive(ctx, w, img)
			_ = w.CloseWithError(err) // never fails
			return err
		})
		err := s.node.load(scope.Context(), r)
		_ = r.CloseWithError(err) // never fails
		return err
	})
	if err != nil {
		return img, fmt.Errorf("give %s to the node: %w", img.Name, err)
	}
	return img, nil
}

// archive writes an OCI archive without the blobs that the node has.
func (s *images) archive(ctx context.Context, out io.Writer, img ctdimages.Image) error {
	w := tar.NewWriter(out)
	top := img.Target
	top.Annotations = map[string]string{ctdimages.AnnotationImageName: img.Name}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{top}})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{ocispec.ImageLayoutFile, layout}, {ocispec.ImageIndexFile, index}} {
		if err := entry(w, f.name, int64(len(f.text))); err != nil {
			return err
		}
		if _, err := w.Write(f.text); err != nil {
			return err
		}
	}
	if err := s.blobs(ctx, w, img.Target); err != nil {
		return err
	}
	return w.Close()
}

// blobs writes everything below root that the node lacks.
func (s *images) blobs(ctx context.Context, w *tar.Writer, root ocispec.Descriptor) error {
	seen := map[digest.Digest]bool{}
	return ctdimages.Walk(ctx, ctdimages.Handlers(
		ctdimages.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			if seen[d.Digest] {
				return nil, nil
			}
			seen[d.Digest] = true
			return nil, s.blob(ctx, w, d)
		}),
		ctdimages.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			return ctdimages.Children(ctx, s.content, d)
		})), root)
}

func (s *images) blob(ctx context.Context, w *tar.Writer, d ocispec.Descriptor) error {
	here, err := s.node.has(ctx, d.Digest)
	if err != nil || here {
		return err
	}
	r, err := s.content.ReaderAt(ctx, d)
	if err != nil {
		return fmt.Errorf("%s %s is neither on the node nor in the build cache: %w", d.MediaType, d.Digest, err)
	}
	defer r.Close()
	if err := entry(w, "blobs/sha256/"+d.Digest.Encoded(), d.Size); err != nil {
		return err
	}
	_, err = io.Copy(w, content.NewReader(r))
	return err
}

func entry(w *tar.Writer, name string, size int64) error {
	return w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg})
}

// Update makes the exporter call Create.
func (s *images) Update(context.Context, ctdimages.Image, ...string) (ctdimages.Image, error) {
	return ctdimages.Image{}, errdefs.ErrNotFound
}

// Get finds nothing: what the node has is asked for by its registry.
func (s *images) Get(context.Context, string) (ctdimages.Image, error) {
	return ctdimages.Image{}, errdefs.ErrNotFound
}

// List is empty, as Get.
func (s *images) List(context.Context, ...string) ([]ctdimages.Image, error) { return nil, nil }

// Delete has nothing to delete.
func (s *images) Delete(context.Context, string, ...ctdimages.DeleteOpt) error {
	return errdefs.ErrNotFound
}
