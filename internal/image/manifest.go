package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's names of what OCI calls index, manifest and config.
const (
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// document is an index or a manifest: both at once would mean different things to different readers.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	FSLayers      []json.RawMessage    `json:"fsLayers"`
}

func (d document) isIndex() bool { return d.Manifests != nil }

func parseDocument(raw []byte) (document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return document{}, fmt.Errorf("read manifest: %w", err)
	}
	switch {
	case d.SchemaVersion == 1 || d.FSLayers != nil:
		return document{}, errors.New("the image has the manifest format of 2014 (schema 1), which nothing reads any more; push it again with a current tool")
	case d.Manifests != nil && (d.Config != nil || d.Layers != nil):
		return document{}, errors.New("the manifest is an index and an image at once; it is refused because readers disagree on such")
	case d.Manifests == nil && d.Config == nil:
		return document{}, errors.New("the manifest is neither an index nor an image")
	}
	for _, x := range append(append([]ocispec.Descriptor{}, d.Manifests...), d.Layers...) {
		if err := checkDigest(x.Digest); err != nil {
			return document{}, err
		}
	}
	if d.Config != nil {
		return d, checkDigest(d.Config.Digest)
	}
	return d, nil
}

// origin is where the parts of an image come from. Both methods check digest and size.
type origin interface {
	// document returns an index, manifest or config.
	document(ctx context.Context, d ocispec.Descriptor) ([]byte, error)
	// layer opens a layer; its reader returns an error in place of io.EOF where the content is not what d says.
	layerSource(d ocispec.Descriptor) layerSource
}

// picked is the way from an image's root descriptor to its config.
type picked struct {
	path     []ocispec.Descriptor // indexes and the manifest
	manifest document
	config   ocispec.Image
	raw      map[digest.Digest][]byte
}

// pick follows indexes to the manifest of this machine's platform and reads its config.
func pick(ctx context.Context, from origin, d ocispec.Descriptor) (picked, error) {
	p := picked{raw: map[digest.Digest][]byte{}}
	const deepest = 4
	for range deepest {
		raw, err := from.document(ctx, d)
		if err != nil {
			return p, err
		}
		doc, err := parseDocument(raw)
		if err != nil {
			return p, fmt.Errorf("%s: %w", d.Digest, err)
		}
		p.path, p.raw[d.Digest] = append(p.path, d), raw
		if !doc.isIndex() {
			p.manifest = doc
			return p, p.readConfig(ctx, from)
		}
		if d, err = choose(doc.Manifests); err != nil {
			return p, err
		}
	}
	return p, fmt.Errorf("%s: indexes are nested deeper than %d", d.Digest, deepest)
}

func (p *picked) readConfig(ctx context.Context, from origin) error {
	d := *p.manifest.Config
	raw, err := from.document(ctx, d)
	if err != nil {
		return err
	}
	p.raw[d.Digest] = raw
	if err := json.Unmarshal(raw, &p.config); err != nil {
		return fmt.Errorf("config %s: %w", d.Digest, err)
	}
	if len(p.config.RootFS.DiffIDs) != len(p.manifest.Layers) {
		return fmt.Errorf("%s is no container image: it has %d layers and its config (%s) describes %d",
			p.path[len(p.path)-1].Digest, len(p.manifest.Layers), d.MediaType, len(p.config.RootFS.DiffIDs))
	}
	for _, x := range p.config.RootFS.DiffIDs {
		if err := checkDigest(x); err != nil {
			return fmt.Errorf("config %s: %w", d.Digest, err)
		}
	}
	if !runsHere(&p.config.Platform) {
		return fmt.Errorf("%w: the image is for %s/%s, this machine is %s/%s", ErrPlatform, p.config.OS, p.config.Architecture,
			"linux", runtime.GOARCH)
	}
	return nil
}

// choose takes the first manifest that says it is for this platform, else the only one that says nothing.
func choose(all []ocispec.Descriptor) (ocispec.Descriptor, error) {
	var silent []ocispec.Descriptor
	var offered []string
	best := -1
	for i, d := range all {
		if d.Platform == nil {
			silent = append(silent, d)
			continue
		}
		offered = append(offered, d.Platform.OS+"/"+d.Platform.Architecture+variant(d.Platform))
		if d.Platform.OS == "linux" && runsHere(d.Platform) && (best < 0 || rank(d.Platform) > rank(all[best].Platform)) {
			best = i
		}
	}
	if best >= 0 {
		return all[best], nil
	}
	if len(silent) == 1 {
		return silent[0], nil
	}
	return ocispec.Descriptor{}, fmt.Errorf("%w linux/%s; it is offered for %v", ErrPlatform, runtime.GOARCH, offered)
}

// runsHere accepts what says nothing, for many tools leave it out.
func runsHere(p *ocispec.Platform) bool {
	return (p.OS == "" || p.OS == "linux") && (p.Architecture == "" || p.Architecture == runtime.GOARCH) && rank(p) >= 0
}

// rank orders the variants of an architecture; below 0 does not run here.
func rank(p *ocispec.Platform) int {
	order := map[string][]string{"arm": {"v5", "v6", "v7"}, "arm64": {"v8"}, "amd64": {"v1"}}[runtime.GOARCH]
	if p.Variant == "" {
		return 0
	}
	for i, v := range order {
		if v == p.Variant {
			return i + 1
		}
	}
	return -1
}

func variant(p *ocispec.Platform) string {
	if p.Variant == "" {
		return ""
	}
	return "/" + p.Variant
}
