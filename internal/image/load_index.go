package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdName is the annotation in which containerd and Docker keep an image's full name.
const containerdName = "io.containerd.image.name"

// dockerEntry is one image in a docker-archive's manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// images lists what the archive holds: by its OCI index, else by docker save's manifest.json.
func (a *archive) images(ctx context.Context) ([]archived, error) {
	var index ocispec.Index
	var entries []dockerEntry
	oci, err := a.read("index.json", &index)
	if err != nil {
		return nil, err
	}
	docker, err := a.read("manifest.json", &entries)
	if err != nil {
		return nil, err
	}
	switch {
	case oci && len(index.Manifests) > 0:
		return a.ociImages(index, entries)
	case docker && len(entries) > 0:
		return a.dockerImages(ctx, entries)
	case oci || docker:
		return nil, errors.New("it holds no image")
	}
	return nil, errors.New("it has neither index.json (OCI) nor manifest.json (docker save); make it with docker save, podman save or skopeo copy")
}

// ociImages groups the index's entries: the same root under several names is one image.
func (a *archive) ociImages(index ocispec.Index, entries []dockerEntry) ([]archived, error) {
	var out []archived
	at := map[string]int{}
	for _, d := range index.Manifests {
		if err := checkDigest(d.Digest); err != nil {
			return nil, err
		}
		key := d.Digest.String()
		if _, ok := at[key]; !ok {
			at[key] = len(out)
			out = append(out, archived{root: ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, naming: naming{durable: true, local: true}})
		}
		f := &out[at[key]]
		for _, n := range ociNames(d) {
			f.naming.call(n, key)
		}
	}
	for i := range out {
		if len(out[i].naming.names) > 0 {
			continue
		}
		for _, t := range a.dockerTags(out[i].root, entries) {
			n, err := parseName(t)
			if err != nil {
				return nil, err
			}
			out[i].naming.call(n, out[i].root.Digest.String())
		}
	}
	return out, nil
}

func (x *naming) call(n name, digest string) {
	x.names = union(x.names, []string{n.String()})
	x.digests = union(x.digests, []string{n.repository() + "@" + digest})
}

// ociNames reads the annotations. A bare tag ("latest") names nothing by itself.
func ociNames(d ocispec.Descriptor) []name {
	full := d.Annotations[containerdName]
	if full == "" {
		full = d.Annotations[ocispec.AnnotationRefName]
		if !strings.ContainsAny(full, "/:") {
			return nil
		}
	}
	n, err := parseName(full)
	if err != nil || n.digest != "" {
		return nil
	}
	return []name{n}
}

// dockerTags finds the names that manifest.json, beside the index, gives the image with the same config.
func (a *archive) dockerTags(root ocispec.Descriptor, entries []dockerEntry) []string {
	raw, err := a.store.readBlob(root.Digest.String())
	if err != nil {
		return nil
	}
	doc, err := parseDocument(raw)
	if err != nil || doc.Config == nil {
		return nil
	}
	for _, e := range entries {
		if d, ok := a.file(e.Config); ok && d.Digest == doc.Config.Digest {
			return e.RepoTags
		}
	}
	return nil
}

// dockerImages writes the OCI manifests that a docker-archive lacks.
func (a *archive) dockerImages(ctx context.Context, entries []dockerEntry) (out []archived, err error) {
	for _, e := range entries {
		m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
		config, ok := a.file(e.Config)
		if !ok {
			return nil, fmt.Errorf("the config %q is missing", e.Config)
		}
		config.MediaType = ocispec.MediaTypeImageConfig
		m.Config = config
		m.Layers = []ocispec.Descriptor{}
		for _, l := range e.Layers {
			d, ok := a.file(l)
			if !ok {
				return nil, fmt.Errorf("the layer %q is missing", l)
			}
			if d, err = a.common(ctx, d); err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, d)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		root := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digestOf(raw), Size: int64(len(raw))}
		a.made[root.Digest] = raw
		f := archived{root: root, naming: naming{durable: true, local: true}, made: true}
		for _, t := range e.RepoTags {
			n, err := parseName(t)
			if err != nil {
				return nil, err
			}
			f.naming.names = union(f.naming.names, []string{n.String()})
		}
		out = append(out, f)
	}
	return out, nil
}

// common is the layer d in a form that manifests have a media type for: one that is not compressed in place of one that only
// docker load would take.
func (a *archive) common(ctx context.Context, d ocispec.Descriptor) (ocispec.Descriptor, error) {
	head, err := a.store.head(d.Digest.String(), len(xzMagic))
	if err != nil {
		return d, err
	}
	if isOddlyPacked(head) {
		if d, err = a.plain(ctx, d); err != nil {
			return d, err
		}
	}
	d.MediaType, err = a.store.layerType(d.Digest.String())
	return d, err
}

// plain keeps the layer d as it is without its compression.
func (a *archive) plain(ctx context.Context, d ocispec.Descriptor) (ocispec.Descriptor, error) {
	packed, err := a.store.openBlob(d)
	if err != nil {
		return d, err
	}
	defer packed.Close()
	r, err := decompress(until(ctx, packed))
	if err != nil {
		return d, err
	}
	defer r.Close()
	return a.keep(r, digest.SHA256, "")
}
