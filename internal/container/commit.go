package container

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Commit is an image that is made of another one and what a container has written.
type Commit struct {
	Base            ocispec.Image
	BaseLayers      []ocispec.Descriptor // as its registry has them; none where they are here in another form only
	Config          ocispec.ImageConfig  // what the fields of the base's are replaced by; those that are empty stay
	Upper           string               // the overlay's upper directory
	Author, Message string

	layer ocispec.Descriptor
	plain digest.Digest
}

// Change reads a line of a Dockerfile into the Config.
func (c *Commit) Change(line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	key, value, pair := strings.Cut(rest, "=")
	if rest == "" {
		return fmt.Errorf("change %q: must be a word and its arguments, as CMD [\"nginx\"]", line)
	}
	switch strings.ToUpper(word) {
	case "CMD":
		c.Config.Cmd = commandOf(rest)
	case "ENTRYPOINT":
		c.Config.Entrypoint, c.Config.Cmd = commandOf(rest), nil
	case "ENV":
		if !pair {
			return fmt.Errorf("change %q: must be ENV NAME=VALUE", line)
		}
		c.Config.Env = append(slices.DeleteFunc(c.Config.Env, func(kv string) bool { return strings.HasPrefix(kv, key+"=") }), rest)
	case "LABEL":
		if !pair {
			return fmt.Errorf("change %q: must be LABEL NAME=VALUE", line)
		}
		c.Config.Labels = with(c.Config.Labels, key, strings.Trim(value, `"`))
	case "EXPOSE":
		if !strings.Contains(rest, "/") {
			rest += "/tcp"
		}
		c.Config.ExposedPorts = with(c.Config.ExposedPorts, rest, struct{}{})
	case "VOLUME":
		c.Config.Volumes = with(c.Config.Volumes, rest, struct{}{})
	case "USER":
		c.Config.User = rest
	case "WORKDIR":
		c.Config.WorkingDir = rest
	default:
		return fmt.Errorf("change %q: %s is not understood: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME and WORKDIR are", line, word)
	}
	return nil
}

func with[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = v
	return m
}

// commandOf reads ["a", "b"], or a line for the shell.
func commandOf(text string) (args []string) {
	if json.Unmarshal([]byte(text), &args) == nil {
		return args
	}
	return []string{"/bin/sh", "-c", text}
}

// Pack writes the layer to f.
func (c *Commit) Pack(ctx context.Context, f *os.File) error {
	if c.BaseLayers == nil {
		return errors.New("the container's image is not here as its registry has it; pull or load it again")
	}
	outer, inner := digest.SHA256.Digester(), digest.SHA256.Digester()
	z := gzip.NewWriter(io.MultiWriter(f, outer.Hash()))
	if err := PackLayer(ctx, io.MultiWriter(z, inner.Hash()), c.Upper); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	c.plain = inner.Digest()
	c.layer = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: outer.Digest(), Size: size}
	return err
}

// Archive writes the image without the layers that the node has. f is what Pack has written.
func (c *Commit) Archive(w io.Writer, f *os.File) error {
	config, err := json.Marshal(c.image(time.Now()))
	if err != nil {
		return err
	}
	d := describe(ocispec.MediaTypeImageConfig, config)
	manifest, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: d,
		Layers: append(slices.Clone(c.BaseLayers), c.layer)})
	if err != nil {
		return err
	}
	root := describe(ocispec.MediaTypeImageManifest, manifest)
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root}})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, part := range []struct {
		name string
		size int64
		from io.Reader
	}{
		{"index.json", int64(len(index)), strings.NewReader(string(index))},
		{blobName(d), d.Size, strings.NewReader(string(config))},
		{blobName(root), root.Size, strings.NewReader(string(manifest))},
		{blobName(c.layer), c.layer.Size, io.NewSectionReader(f, 0, c.layer.Size)},
	} {
		if err := t.WriteHeader(&tar.Header{Name: part.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: part.size}); err != nil {
			return err
		}
		if _, err := io.Copy(t, part.from); err != nil {
			return err
		}
	}
	return t.Close()
}

func blobName(d ocispec.Descriptor) string {
	return "blobs/" + d.Digest.Algorithm().String() + "/" + d.Digest.Encoded()
}

func describe(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// image is the new image's config.
func (c *Commit) image(now time.Time) ocispec.Image {
	now = now.UTC()
	i := ocispec.Image{Created: &now, Author: c.Author, Config: c.Base.Config, RootFS: c.Base.RootFS,
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH, Variant: c.Base.Variant}}
	o := c.Config
	i.Config.User, i.Config.WorkingDir, i.Config.Env, i.Config.Cmd, i.Config.Entrypoint = o.User, o.WorkingDir, o.Env, o.Cmd, o.Entrypoint
	for k, v := range o.Labels {
		i.Config.Labels = with(i.Config.Labels, k, v)
	}
	for k, v := range o.ExposedPorts {
		i.Config.ExposedPorts = with(i.Config.ExposedPorts, k, v)
	}
	for k, v := range o.Volumes {
		i.Config.Volumes = with(i.Config.Volumes, k, v)
	}
	i.RootFS.Type = "layers"
	i.RootFS.DiffIDs = append(slices.Clone(i.RootFS.DiffIDs), c.plain)
	if len(c.Base.History) > 0 { // who has none would be wrong with one line
		i.History = append(slices.Clone(c.Base.History), ocispec.History{Created: &now, CreatedBy: "minato commit", Author: c.Author, Comment: c.Message})
	}
	return i
}
