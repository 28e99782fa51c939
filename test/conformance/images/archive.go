package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path"
	"strings"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	defaultPath  = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// descriptor points to a blob, as in the OCI image specification.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    map[string]string `json:"platform,omitempty"`
}

// layer is a packed layer: its blob and the digest of what is in it.
type layer struct {
	name, file, digest, diffID string
	size                       int64
}

// pack writes a tree as a compressed layer.
func pack(name string, t tree, file string) (layer, error) {
	f, err := os.Create(file)
	if err != nil {
		return layer{}, err
	}
	defer f.Close()
	blob, diff := sha256.New(), sha256.New()
	gz, err := gzip.NewWriterLevel(io.MultiWriter(f, blob), gzip.BestSpeed)
	if err != nil {
		return layer{}, err
	}
	if err := t.write(io.MultiWriter(gz, diff)); err != nil {
		return layer{}, err
	}
	if err := gz.Close(); err != nil {
		return layer{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return layer{}, err
	}
	return layer{name, file, digest(blob.Sum(nil)), digest(diff.Sum(nil)), size}, f.Close()
}

func digest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

func sumOf(b []byte) string { s := sha256.Sum256(b); return digest(s[:]) }

// archive is an OCI image layout in one tar file, each blob once.
type archive struct {
	tw   *tar.Writer
	seen map[string]bool
}

func (a *archive) put(name string, size int64, r io.Reader) error {
	if err := a.tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := io.Copy(a.tw, r)
	return err
}

// blob stores bytes under their digest, once.
func (a *archive) blob(mediaType string, v any) (descriptor, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	d := descriptor{MediaType: mediaType, Digest: sumOf(body), Size: int64(len(body))}
	if a.seen[d.Digest] {
		return d, nil
	}
	a.seen[d.Digest] = true
	return d, a.put(blobPath(d.Digest), d.Size, bytes.NewReader(body))
}

func blobPath(digest string) string { return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:") }

func (a *archive) layer(l layer) (descriptor, error) {
	d := descriptor{MediaType: layerType, Digest: l.digest, Size: l.size}
	if a.seen[l.digest] {
		return d, nil
	}
	a.seen[l.digest] = true
	f, err := os.Open(l.file)
	if err != nil {
		return d, err
	}
	defer f.Close()
	return d, a.put(blobPath(l.digest), l.size, f)
}

// image adds one image and returns its manifest's descriptor, named.
func (a *archive) image(img image, layers map[string]layer) (descriptor, error) {
	c := img.config
	if c.Env == nil {
		c.Env = []string{defaultPath}
	}
	var blobs []descriptor
	var diffs []string
	for _, name := range img.layers {
		d, err := a.layer(layers[name])
		if err != nil {
			return d, err
		}
		blobs, diffs = append(blobs, d), append(diffs, layers[name].diffID)
	}
	// The comment keeps images of the same layers apart: their IDs are digests of this.
	cd, err := a.blob(configType, map[string]any{"created": epoch, "architecture": "amd64", "os": "linux", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "comment": img.ref})
	if err != nil {
		return cd, err
	}
	md, err := a.blob(manifestType, map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": cd, "layers": blobs})
	md.Annotations = map[string]string{"io.containerd.image.name": img.ref, "org.opencontainers.image.ref.name": path.Base(img.ref)[strings.LastIndex(path.Base(img.ref), ":")+1:]}
	md.Platform = map[string]string{"architecture": "amd64", "os": "linux"}
	return md, err
}

// assemble writes all images of the table into one archive.
func assemble(file string, layers map[string]layer) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{tar.NewWriter(f), map[string]bool{}}
	const layout = `{"imageLayoutVersion":"1.0.0"}`
	if err := a.put("oci-layout", int64(len(layout)), strings.NewReader(layout)); err != nil {
		return err
	}
	var manifests []descriptor
	for _, img := range table {
		d, err := a.image(img, layers)
		if err != nil {
			return err
		}
		manifests = append(manifests, d)
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": manifests})
	if err != nil {
		return err
	}
	if err := a.put("index.json", int64(len(index)), bytes.NewReader(index)); err != nil {
		return err
	}
	if err := a.tw.Close(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
