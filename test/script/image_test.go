package script

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// mkImage KIND NAME OUT [DIR|PATH=FILE ...] [-- entrypoint ...] writes an image archive, KIND oci or docker, whose
// one layer holds a directory tree or single files. "busybox" stands for a root with Debian's busybox-static;
// user:NAME is whom its containers run as.
func mkImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: image oci|docker NAME OUT busybox|DIR|PATH=FILE ... [-- entrypoint ...]")
	}
	kind, name, out, parts := args[0], args[1], ts.MkAbs(args[2]), args[3:]
	var entry []string
	user := ""
	for i, p := range parts {
		if p == "--" {
			parts, entry = parts[:i], parts[i+1:]
			break
		}
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, p := range parts {
		var err error
		switch path, file, single := strings.Cut(p, "="); {
		case strings.HasPrefix(p, "user:"):
			user = strings.TrimPrefix(p, "user:")
		case p == "busybox":
			err = addBusybox(w)
		case single:
			err = addFile(w, path, ts.MkAbs(file))
		default:
			err = addTree(w, ts.MkAbs(p))
		}
		ts.Check(err)
	}
	ts.Check(w.Close())
	config := imageConfig(layer.Bytes(), entry, user)
	var archive []byte
	switch kind {
	case "oci":
		archive = ociArchive(name, config, layer.Bytes())
	case "docker":
		archive = dockerArchive(name, config, layer.Bytes())
	default:
		ts.Fatalf("image: unknown kind %q", kind)
	}
	ts.Check(os.WriteFile(out, archive, 0o644))
}

func addBusybox(w *tar.Writer) error {
	if err := addFile(w, "bin/busybox", "/bin/busybox"); err != nil {
		return err
	}
	for _, applet := range []string{"sh", "ls", "cat", "echo", "sleep", "id", "env", "wget", "nslookup", "hostname", "mount", "touch", "ps",
		"kill", "true", "false", "test", "grep", "head", "tail", "dd", "nc", "httpd", "mkdir", "rm", "date", "seq", "stat", "wc", "tar",
		"readlink", "ip", "ping", "nproc", "df", "chmod", "printf", "tty", "stty", "usleep", "sort", "uname", "whoami"} {
		h := &tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
	}
	for _, dir := range []string{"tmp", "etc", "proc", "sys", "dev", "root", "var"} {
		if err := w.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
			return err
		}
	}
	// In an order, so that equal images are one image.
	for _, f := range []struct{ name, text string }{
		{"etc/group", "root:x:0:\nweb:x:1000:\n"},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n"},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))}); err != nil {
			return err
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			return err
		}
	}
	return nil
}

func addFile(w *tar.Writer, path, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func addTree(w *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		if !info.Mode().IsRegular() && !info.IsDir() && link == "" {
			return nil // device nodes of a debootstrap tree
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		h.Name = rel
		if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func imageConfig(layer []byte, entry []string, user string) []byte {
	if entry == nil {
		entry = []string{"/bin/sh"}
	}
	return encode(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin:/usr/bin:/sbin:/usr/sbin"}, "Cmd": entry, "WorkingDir": "/", "User": user},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func ociArchive(name string, config, layer []byte) []byte {
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	top := descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
	top["annotations"] = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
	return pack(map[string][]byte{
		"oci-layout":   []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json":   encode(map[string]any{"schemaVersion": 2, "manifests": []any{top}}),
		blob(config):   config,
		blob(layer):    layer,
		blob(manifest): manifest,
	})
}

func blob(b []byte) string { return "blobs/sha256/" + strings.TrimPrefix(digest(b), "sha256:") }

func descriptor(mediaType string, b []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(b), "size": len(b)}
}

func dockerArchive(name string, config, layer []byte) []byte {
	id := strings.TrimPrefix(digest(config), "sha256:")
	return pack(map[string][]byte{
		id + ".json":      config,
		"layer/layer.tar": layer,
		"manifest.json":   encode([]any{map[string]any{"Config": id + ".json", "RepoTags": []string{name}, "Layers": []string{"layer/layer.tar"}}}),
	})
}

func pack(files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, b := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b))}); err != nil {
			panic(fmt.Sprint(name, err))
		}
		if _, err := w.Write(b); err != nil {
			panic(fmt.Sprint(name, err))
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
