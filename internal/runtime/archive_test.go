package runtime

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// busybox is an archive as docker save writes it: one layer with a static busybox, some accounts and traps for a
// careless reader of them, and a configuration.
func busybox(t *testing.T, name string, config map[string]any) []byte {
	t.Helper()
	return archiveOf(t, name, config, nil)
}

// linked is busybox with links in the place of some of its files and directories.
func linked(t *testing.T, name string, links map[string]string) []byte {
	t.Helper()
	return archiveOf(t, name, nil, links)
}

func archiveOf(t *testing.T, name string, config map[string]any, links map[string]string) []byte {
	t.Helper()
	bin, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	dir := func(name string, mode int64) {
		add(t, w, &tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}, nil)
	}
	file := func(name, text string) {
		add(t, w, &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, []byte(text))
	}
	for _, d := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "home/", "data/"} {
		dir(d, 0o755)
	}
	dir("tmp/", 0o1777)
	add(t, w, &tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, bin)
	for _, applet := range strings.Fields("sh cat echo sleep id env pwd ls touch true false grep hostname nc dd kill sysctl mount umount mkdir chown stty printf head ps wc test seq readlink yes tr cut httpd wget nslookup ip") {
		add(t, w, &tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home:/bin/sh\nnogroup:x:1001:1001::/:/bin/sh\n")
	file("etc/group", "root:x:0:\nweb:x:1000:\nextra:x:2000:web\nmore:x:2001:other,web\nroots:x:2002:root\n")
	file("data/part", "a part of an image\n")
	for at, to := range links { // the later entry of an archive counts
		add(t, w, &tar.Header{Name: at, Typeflag: tar.TypeSymlink, Linkname: to}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(layer.Bytes())
	if config == nil {
		config = map[string]any{"Cmd": []string{"sh"}, "Env": []string{"PATH=/bin", "FROM=image"}}
	}
	cfg, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	a := tar.NewWriter(&archive)
	add(t, a, &tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg, Mode: 0o644}, manifest)
	add(t, a, &tar.Header{Name: "config.json", Typeflag: tar.TypeReg, Mode: 0o644}, cfg)
	add(t, a, &tar.Header{Name: "layer.tar", Typeflag: tar.TypeReg, Mode: 0o644}, layer.Bytes())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func add(t *testing.T, w *tar.Writer, h *tar.Header, data []byte) {
	t.Helper()
	h.Size = int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
}
