package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// baseName is the base image of all stages.
const baseName = "docker.io/library/bench:1"

// dockerfile has three stages; what each step does costs next to nothing, so that the builder's share is what is seen.
const dockerfile = `FROM bench:1 AS tools
RUN echo tool > /tool
RUN echo more >> /tool

FROM bench:1 AS program
WORKDIR /src
COPY src/ .
RUN --mount=type=cache,target=/cache touch /cache/here
RUN cat main.txt > /program

FROM bench:1
COPY --from=tools /tool /bin/tool
COPY --from=program --chown=1000:1000 /program /app/
RUN <<EOF
echo one > /etc/one
echo two > /etc/two
EOF
RUN cat /app/program > /etc/three
CMD ["cat", "/etc/three"]
`

// files in the context.
const contextFiles = 200

// input is the context, and the base image as an archive and as an OCI layout.
type input struct{ context, archive, layout, digest string }

func writeInput(dir string) (input, error) {
	in := input{context: filepath.Join(dir, "context"), archive: filepath.Join(dir, "base.tar"), layout: filepath.Join(dir, "layout")}
	if err := os.MkdirAll(filepath.Join(in.context, "src"), 0o755); err != nil {
		return in, err
	}
	files := map[string]string{"Dockerfile": dockerfile, ".dockerignore": "**/*.log\n", "src/main.txt": "program\n"}
	for i := range contextFiles {
		files[fmt.Sprintf("src/%03d.txt", i)] = fmt.Sprintf("file %d\n", i)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(in.context, name), []byte(text), 0o644); err != nil {
			return in, err
		}
	}
	return in, in.writeBase()
}

// writeBase makes an image of busybox.
func (in *input) writeBase() error {
	layer, err := busybox()
	if err != nil {
		return err
	}
	blobs := map[string][]byte{}
	describe := func(mediaType string, b []byte) map[string]any {
		d := fmt.Sprintf("%x", sha256.Sum256(b))
		blobs[d] = b
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + d, "size": len(b)}
	}
	config, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}}})
	if err != nil {
		return err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType,
		"config": describe("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{describe("application/vnd.oci.image.layer.v1.tar", layer)}})
	if err != nil {
		return err
	}
	top := describe(manifestType, manifest)
	in.digest = top["digest"].(string)
	top["annotations"] = map[string]string{"io.containerd.image.name": baseName}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{top}})
	if err != nil {
		return err
	}
	all := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
	for d, b := range blobs {
		all["blobs/sha256/"+d] = b
	}
	return errors.Join(writeLayout(in.layout, all), writeArchive(in.archive, all))
}

func writeLayout(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeArchive(path string, files map[string][]byte) error {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, b := range files {
		if err := add(w, &tar.Header{Name: name, Mode: 0o644, Size: int64(len(b)), Typeflag: tar.TypeReg}, b); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), os.WriteFile(path, out.Bytes(), 0o644))
}

func busybox() ([]byte, error) {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("%w (Debian: busybox-static)", err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err = add(w, &tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}, program)
	for _, applet := range []string{"sh", "cat", "echo", "touch"} {
		err = errors.Join(err, add(w, &tar.Header{Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777, Typeflag: tar.TypeSymlink}, nil))
	}
	for _, d := range []string{"etc", "proc", "sys", "dev", "tmp"} {
		err = errors.Join(err, add(w, &tar.Header{Name: d + "/", Mode: 0o755, Typeflag: tar.TypeDir}, nil))
	}
	return out.Bytes(), errors.Join(err, w.Close())
}

func add(w *tar.Writer, h *tar.Header, b []byte) error {
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}
