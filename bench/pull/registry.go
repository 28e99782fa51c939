package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"minato.dev/minato/bench/measure"
)

// registryAddress is where the registry listens in the namespace.
const registryAddress = "127.0.0.1:5000"

// registry is Debian's docker-registry.
type registry struct {
	cmd    *exec.Cmd
	client *http.Client
}

func startRegistry(ctx context.Context, net *measure.Netns, dir string) (*registry, error) {
	file := filepath.Join(dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: %q}\n", dir, registryAddress)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r := &registry{cmd: net.Command(context.WithoutCancel(ctx), "docker-registry", "serve", file),
		client: &http.Client{Transport: &http.Transport{DialContext: net.DialContext}}}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (Debian: docker-registry)", err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := r.client.Get("http://" + registryAddress + "/v2/")
		if err == nil {
			return r, resp.Body.Close()
		}
		if time.Now().After(deadline) {
			return r, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *registry) close() error {
	_ = r.cmd.Process.Kill() // one that has ended needs none
	_ = r.cmd.Wait()
	return nil
}

const (
	layers      = 6
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// image makes the i-th image, pushes it and returns its name and the bytes of its layers.
func (r *registry) image(ctx context.Context, i, mb int) (ref string, packed int64, err error) {
	var diffs []string
	var parts []descriptor
	for l := range layers {
		plain := layer(uint64(i*layers+l), mb*1_000_000/layers)
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write(plain)
		if err = errors.Join(err, w.Close()); err != nil {
			return "", 0, err
		}
		d, err := r.blob(ctx, ociLayer, b.Bytes())
		if err != nil {
			return "", 0, err
		}
		diffs, parts, packed = append(diffs, sum(plain)), append(parts, d), packed+int64(b.Len())
	}
	config, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Cmd": []string{"/x"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs}})
	if err != nil {
		return "", 0, err
	}
	c, err := r.blob(ctx, ociConfig, config)
	if err != nil {
		return "", 0, err
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": c, "layers": parts})
	if err != nil {
		return "", 0, err
	}
	tag := fmt.Sprintf("v%d", i)
	_, err = r.send(ctx, http.MethodPut, "http://"+registryAddress+"/v2/bench/manifests/"+tag, ociManifest, manifest)
	return registryAddress + "/bench:" + tag, packed, err
}

// layer is a tar of files whose sizes are spread as those of real images are; every second one compresses.
func layer(seed uint64, size int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	noise := make([]byte, 1<<20)
	for n := 0; b.Len() < size; n++ {
		length := min(1<<10<<rnd.IntN(11), max(1<<10, size-b.Len()))
		body := noise[:length]
		for i := 0; i < length; i += 8 {
			v := rnd.Uint64()
			if n%2 == 1 {
				v = v % 16 * 0x0101010101010101
			}
			for k := range min(8, length-i) {
				body[i+k] = byte(v >> (8 * k))
			}
		}
		// Writes to memory do not fail, and the header is within the format.
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("usr/%d/dir%d/file%d", seed, n%40, n), Mode: 0o644, Size: int64(length)})
		_, _ = w.Write(body)
	}
	_ = w.Close()
	return b.Bytes()
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func (r *registry) blob(ctx context.Context, mediaType string, b []byte) (descriptor, error) {
	d := descriptor{mediaType, sum(b), len(b)}
	at, err := r.send(ctx, http.MethodPost, "http://"+registryAddress+"/v2/bench/blobs/uploads/", "", nil)
	if err != nil {
		return d, err
	}
	join := "?"
	if strings.Contains(at, "?") {
		join = "&"
	}
	_, err = r.send(ctx, http.MethodPut, at+join+"digest="+d.Digest, "application/octet-stream", b)
	return d, err
}

func (r *registry) send(ctx context.Context, method, url, mediaType string, body []byte) (location string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := r.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		return "", fmt.Errorf("%s %s: %s: %s: %w", method, url, resp.Status, text, errors.Join(err))
	}
	return resp.Header.Get("Location"), nil
}

// writeSmall writes an image of one empty layer as docker save does: containerd's start wants one.
func writeSmall(path string) error {
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{sum(empty.Bytes())}}})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range map[string][]byte{"config.json": config, "layer.tar": empty.Bytes(),
		"manifest.json": []byte(`[{"Config":"config.json","RepoTags":["docker.io/library/small:1"],"Layers":["layer.tar"]}]`)} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), os.WriteFile(path, b.Bytes(), 0o644))
}
