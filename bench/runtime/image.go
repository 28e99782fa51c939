package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// imageName is the image of all pods: busybox, so that the application costs next to nothing.
const imageName = "docker.io/library/bench:1"

// program is all that is in it.
const program = "/bin/busybox"

// writeImage writes it as `docker save` does.
func writeImage(path string) (err error) {
	program, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%w (Debian: busybox-static)", err)
	}
	layer, err := archive(entry{"bin/busybox", program, 0o755}, entry{"bin/true", nil, 0}, entry{"bin/sleep", nil, 0})
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}}})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{imageName}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	whole, err := archive(entry{"config.json", config, 0o644}, entry{"layer.tar", layer, 0o644}, entry{"manifest.json", manifest, 0o644})
	return errors.Join(err, os.WriteFile(path, whole, 0o644))
}

// entry is a file, or with mode 0 a link to busybox.
type entry struct {
	name    string
	content []byte
	mode    int64
}

func archive(entries ...entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.mode == 0 {
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, "busybox", 0o777
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
