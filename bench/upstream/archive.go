package upstream

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// archive writes an image whose only file, /run, is a static program.
func archive(out io.Writer, name string, program []byte) error {
	return Archive(out, name, func(w *tar.Writer) error { return file(w, "run", program, 0o755) }, "/run")
}

// Archive writes an image with one layer, which fill fills, in the form of `docker save`.
func Archive(out io.Writer, name string, fill func(*tar.Writer) error, entrypoint ...string) error {
	var layer bytes.Buffer
	w, lw := tar.NewWriter(out), tar.NewWriter(&layer)
	if err := fill(lw); err != nil {
		return err
	}
	if err := lw.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": entrypoint},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes()))}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{{"config.json", config}, {"layer.tar", layer.Bytes()}, {"manifest.json", manifest}} {
		if err := file(w, f.name, f.content, 0o644); err != nil {
			return err
		}
	}
	return w.Close()
}

func file(w *tar.Writer, name string, content []byte, mode int64) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
