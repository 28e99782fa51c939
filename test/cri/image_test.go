package cri

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

const (
	toolbox  = "docker.io/library/toolbox:1" // busybox with some accounts
	userless = "docker.io/library/named:1"   // the same, run as a user by name
	numbered = "docker.io/library/number:1"  // the same, run as a user by number
)

// blob is content under its digest.
type blob struct {
	digest string
	data   []byte
}

func newBlob(data []byte) blob { return blob{fmt.Sprintf("sha256:%x", sha256.Sum256(data)), data} }

// layer is the one layer of all images.
func layer(t *testing.T) blob {
	bin, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, d := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "home/", "data/", "tmp/"} {
		put(t, w, &tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: map[bool]int64{false: 0o755, true: 0o1777}[d == "tmp/"]}, nil)
	}
	put(t, w, &tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, bin)
	put(t, w, &tar.Header{Name: "bin/garbage", Typeflag: tar.TypeReg, Mode: 0o755}, []byte("no program"))
	for _, applet := range strings.Fields("sh cat echo sleep id env pwd ls touch true false grep hostname nc dd kill sysctl mount umount mkdir chown stty printf head ps wc test seq readlink yes tr cut httpd wget ip cp mv rm mknod stat sort tail sed su chroot unshare nsenter ping cmp tee") {
		put(t, w, &tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home:/bin/sh\n",
		"etc/group":  "root:x:0:\nweb:x:1000:\nextra:x:2000:web\nmore:x:2001:other,web\nroots:x:2002:root\n",
		"data/part":  "a part of an image\n",
	} {
		put(t, w, &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, []byte(text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return newBlob(b.Bytes())
}

func put(t *testing.T, w *tar.Writer, h *tar.Header, data []byte) {
	h.Size = int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
}

// imageConfig is what the image says about its process.
func imageConfig(t *testing.T, l blob, user string, labels map[string]string) blob {
	c := map[string]any{"Cmd": []string{"sleep", "1000"}, "Env": []string{"PATH=/bin", "FROM=image"}, "User": user, "Labels": labels}
	return newBlob(encode(t, map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": c,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{l.digest}}}))
}

func encode(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// saved is an image as docker save writes it.
func saved(t *testing.T, l blob, name, user string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	config := imageConfig(t, l, user, nil)
	manifest := encode(t, []any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	put(t, w, &tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg, Mode: 0o644}, manifest)
	put(t, w, &tar.Header{Name: "config.json", Typeflag: tar.TypeReg, Mode: 0o644}, config.data)
	put(t, w, &tar.Header{Name: "layer.tar", Typeflag: tar.TypeReg, Mode: 0o644}, l.data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
