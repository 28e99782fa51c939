package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

func TestNormalizeName(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"nginx": "docker.io/library/nginx:latest", "nginx:1.27": "docker.io/library/nginx:1.27", "me/app": "docker.io/me/app:latest",
		"minato.local/hello": "minato.local/hello:latest", "127.0.0.1:5000/a/b:c": "127.0.0.1:5000/a/b:c",
		"localhost/x": "localhost/x:latest", "index.docker.io/library/x": "docker.io/library/x:latest", " nginx ": "docker.io/library/nginx:latest",
		"nginx:1@" + d: "docker.io/library/nginx@" + d, "docker.io/nginx@" + d: "docker.io/library/nginx@" + d,
		"": "!", "UPPER/case": "UPPER/case:latest", "lib/UPPER/x": "!", "a//b": "!", "x:": "!", "x@sha256:12": "!", "http://x/y": "!", strings.Repeat("a", 64): "!", "-x": "!",
	} {
		got, err := NormalizeName(ref)
		if want == "!" {
			if !errors.Is(err, ErrInvalidName) {
				t.Errorf("%q: %q, %v, want ErrInvalidName", ref, got, err)
			}
		} else if got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", ref, got, err, want)
		}
	}
}

func FuzzNormalizeName(f *testing.F) {
	f.Add("nginx:1@sha256:aa")
	f.Add("[::1]:5000/x")
	f.Fuzz(func(t *testing.T, ref string) {
		n, err := NormalizeName(ref)
		if err != nil {
			return
		}
		if again, err := NormalizeName(n); err != nil || again != n {
			t.Fatalf("%q became %q, that became %q, %v", ref, n, again, err)
		}
	})
}

func TestLoadMakesLayersThatOverlayMounts(t *testing.T) {
	s := open(t)
	low := layer(t, entry{dir("etc").Header, ""}, file("etc/a", "low"), file("etc/b", "low"), dir("gone"), file("gone/x", "x"), dir("private"))
	priv := dir("opaque")
	priv.Mode = 0o700
	up := layer(t, file("etc/.wh.a", ""), file("etc/b", "up"), file(".wh.gone", ""), file("opaque/n", "up"))
	low2 := layer(t, priv, file("opaque/o", "low"))
	for _, pack := range []func(testing.TB, []byte) []byte{nil, gz, zst, packed("bzip2"), packed("xz")} {
		s := s
		if pack != nil {
			s = open(t)
		}
		i := load(t, s, build(t, nil, pack, low, low2, up).ociArchive(t, "example.org/app:1"))
		if len(i.Layers) != 3 || i.User() != "1000" || strings.Join(i.Names, " ") != "example.org/app:1" {
			t.Fatalf("%+v", i)
		}
		at := t.TempDir()
		ok(t, unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(i.Layers, ":")))
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+at+" && find . -type f | sort | xargs grep -H . && stat -c %a opaque").CombinedOutput()
		ok(t, unix.Unmount(at, 0))
		ok(t, err)
		if got, want := string(out), "./etc/b:up\n./opaque/n:up\n./opaque/o:low\n700\n"; got != want {
			t.Errorf("merged:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestLoadDockerArchive(t *testing.T) {
	l1, l2 := layer(t, file("a", "1")), layer(t, file("b", "2"))
	config := fmt.Sprintf(`{"os":"linux","architecture":%q,"config":{"Cmd":["/a"]},"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`,
		runtime.GOARCH, digest.FromBytes(l1), digest.FromBytes(l2))
	manifest := `[{"Config":"c.json","RepoTags":["busybox:1","me/other"],"Layers":["one/layer.tar","two/layer.tar"]}]`
	archive := layer(t, file("one/layer.tar", string(l1)), link('2', "two/layer.tar", "../three/layer.tar"), file("three/layer.tar", string(l2)),
		file("c.json", config), file("manifest.json", manifest))
	s := open(t)
	i := load(t, s, gz(t, archive))
	if got := strings.Join(i.Names, " "); got != "docker.io/library/busybox:1 docker.io/me/other:latest" || i.ID != digest.FromString(config).String() {
		t.Errorf("%+v", i)
	}
	for _, ref := range []string{"busybox:1", "me/other", i.ID, i.ID[7:], i.ID[7:20]} {
		if got, found := s.Resolve(ref); !found || got.ID != i.ID {
			t.Errorf("%s: not found", ref)
		}
	}
	again, err := s.Load(t.Context(), bytes.NewReader(archive), LoadOptions{Name: "x:y"})
	ok(t, err)
	if got := strings.Join(again[0].Names, " "); got != "docker.io/library/busybox:1 docker.io/library/x:y docker.io/me/other:latest" {
		t.Errorf("named at load: %s", got)
	}
	_, err = s.Load(t.Context(), bytes.NewReader(archive), LoadOptions{Name: "X:y"})
	wantError(t, err, "invalid image name")
}

func TestLoadRefuses(t *testing.T) {
	l := layer(t, file("a", "1"))
	lie := func(_ *ocispec.Image, m *ocispec.Manifest) { m.Layers[0].Size++ }
	wrong := build(t, nil, gz, l)
	for d := range wrong.blobs {
		if d != wrong.root.Digest && d != wrong.config.Digest {
			wrong.blobs[d] = gz(t, layer(t, file("a", "2")))
		}
	}
	part := build(t, nil, gz, l)
	for d := range part.blobs {
		if d != part.root.Digest && d != part.config.Digest {
			delete(part.blobs, d)
		}
	}
	for what, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"nothing":       {nil, "neither index.json"},
		"text":          {[]byte(strings.Repeat("no archive ", 100)), "invalid image archive"},
		"other archive": {layer(t, file("readme", "x")), "neither index.json"},
		"wrong diff id": {build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.RootFS.DiffIDs[0] = digest.FromString("x") }, gz, l).ociArchive(t, ""), "the config says"},
		"wrong size":    {build(t, lie, gz, l).ociArchive(t, ""), "bytes instead of"},
		"wrong blob":    {wrong.ociArchive(t, ""), "does not match its digest"},
		"part":          {part.ociArchive(t, ""), "is missing"},
		"cut":           {build(t, nil, gz, l).ociArchive(t, "")[:3000], "invalid image archive"},
		"other machine": {build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.Architecture = "s390x" }, gz, l).ociArchive(t, ""), "no image for this platform"},
		"artifact":      {build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.RootFS.DiffIDs = nil }, gz, l).ociArchive(t, ""), "is no container image"},
		"broken xz":     {append([]byte{0xfd, '7', 'z', 'X', 'Z', 0}, l...), "xz: "},
		"cut xz":        {cut(packed("xz")(t, build(t, nil, gz, l).ociArchive(t, ""))), "xz: "},
		"broken bzip2":  {append([]byte("BZh9"), l...), "bzip2: "},
		"xz layer":      {build(t, nil, func(t testing.TB, b []byte) []byte { return cut(packed("xz")(t, b)) }, l).ociArchive(t, ""), "xz: "},
		"unknown digest": {build(t, func(_ *ocispec.Image, m *ocispec.Manifest) {
			m.Layers[0].Digest = "blake3:" + digest.Digest(strings.Repeat("1", 64))
		}, gz, l).ociArchive(t, ""),
			"only sha256, sha384 and sha512 are understood"},
	} {
		s := open(t)
		_, err := s.Load(t.Context(), bytes.NewReader(c.archive), LoadOptions{})
		wantError(t, err, c.want)
		if left := tree(t, s.cfg.Dir); left != "" {
			t.Errorf("%s left: %s", what, left)
		}
	}
}

// cut takes the second half away.
func cut(b []byte) []byte { return b[:len(b)/2] }

// tree lists the files under dir.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	ok(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, rel)
		}
		return err
	}))
	return strings.Join(out, " ")
}

func TestLoadPicksThePlatform(t *testing.T) {
	other := build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.Architecture = "s390x" }, gz, layer(t, file("a", "other")))
	own := build(t, nil, gz, layer(t, file("a", "own")))
	for d, b := range other.blobs {
		own.blobs[d] = b
	}
	od, md := other.root, own.root
	od.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	md.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	attest := od
	attest.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	own.root = own.addJSON(t, ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{attest, od, md}})
	s := open(t)
	i := load(t, s, own.ociArchive(t, "multi:1"))
	b, err := os.ReadFile(i.Layers[0] + "/a")
	if err != nil || string(b) != "own" {
		t.Errorf("%s %v", b, err)
	}
	if want := "docker.io/library/multi@" + own.root.Digest.String(); strings.Join(i.Digests, " ") != want {
		t.Errorf("digests %v, want %s", i.Digests, want)
	}
	own.root = own.addJSON(t, ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{od}})
	_, err = s.Load(t.Context(), bytes.NewReader(own.ociArchive(t, "")), LoadOptions{})
	wantError(t, err, "it is offered for [linux/s390x]")
}

func TestRestart(t *testing.T) {
	s := open(t)
	i := load(t, s, build(t, nil, gz, layer(t, file("a", "1")), layer(t, file("b", "2"))).ociArchive(t, "app:1"))
	// what a crash leaves: half files, a layer that no record names, a record that is broken
	ok(t, os.WriteFile(s.path("tmp", "blob-1"), []byte("half"), 0o600))
	ok(t, os.MkdirAll(s.path("layers", strings.Repeat("0", 64), "fs"), 0o700))
	ok(t, os.WriteFile(s.path("images", strings.Repeat("1", 64)+".json"), []byte("{"), 0o600))
	again, err := Open(s.cfg)
	ok(t, err)
	got, found := again.Resolve("app:1")
	if !found || got.ID != i.ID || got.Layers[0] != i.Layers[0] || got.Config.Config.User != "1000" || !got.Loaded.Equal(i.Loaded) {
		t.Errorf("after a restart: %+v", got)
	}
	for _, at := range []string{"tmp/blob-1", "layers/" + strings.Repeat("0", 64), "images/" + strings.Repeat("1", 64) + ".json"} {
		if _, err := os.Stat(s.path(at)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", at)
		}
	}
	a, _ := s.Usage(t.Context())
	b, _ := again.Usage(t.Context())
	if a != b || a.Bytes == 0 {
		t.Errorf("usage before %+v and after %+v", a, b)
	}
}

func TestRemove(t *testing.T) {
	s := open(t)
	base := layer(t, file("base", "1"))
	one := load(t, s, build(t, nil, gz, base, layer(t, file("a", "1"))).ociArchive(t, "one:1"))
	two := load(t, s, build(t, nil, gz, base, layer(t, file("a", "2"))).ociArchive(t, "two:1"))
	if _, err := s.Tag(t.Context(), "one:1", "other:2"); err != nil {
		t.Fatal(err)
	}
	ok(t, s.Remove(t.Context(), "other:2", RemoveOptions{InUse: func(Image) bool { return true }}))
	if _, found := s.Resolve("one:1"); !found {
		t.Fatal("removing one name took the image")
	}
	if err := s.Remove(t.Context(), "one:1", RemoveOptions{InUse: func(i Image) bool { return i.ID == one.ID }}); !errors.Is(err, ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	ok(t, s.Remove(t.Context(), "one:1", RemoveOptions{}))
	if err := s.Remove(t.Context(), "one:1", RemoveOptions{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := os.Stat(one.Layers[0]); err == nil {
		t.Error("the removed image's layer is still there")
	}
	if _, err := os.Stat(two.Layers[1]); err != nil {
		t.Errorf("the shared layer went: %v", err)
	}
	ok(t, s.Remove(t.Context(), two.ID[7:30], RemoveOptions{}))
	if left := tree(t, s.cfg.Dir); left != "" {
		t.Errorf("left: %s", left)
	}
}

func TestNameMovesToTheNewImage(t *testing.T) {
	s := open(t)
	one := load(t, s, build(t, nil, gz, layer(t, file("a", "1"))).ociArchive(t, "app:1"))
	two := load(t, s, build(t, nil, gz, layer(t, file("a", "2"))).ociArchive(t, "app:1"))
	for _, s := range []*Store{s, reopen(t, s)} {
		if got, _ := s.Resolve("app:1"); got.ID != two.ID {
			t.Errorf("app:1 is %s", got.ID)
		}
		if got, found := s.Resolve(one.ID); !found || len(got.Names) != 0 || len(got.Digests) != 1 {
			t.Errorf("the old image: %+v", got)
		}
	}
}

func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	again, err := Open(s.cfg)
	ok(t, err)
	return again
}

func TestBuiltin(t *testing.T) {
	s := open(t)
	binary := bytes.Repeat([]byte("program"), 300_000)
	begin := time.Now()
	i, err := s.EnsureBuiltin(t.Context(), binary)
	ok(t, err)
	t.Logf("made in %v", time.Since(begin))
	begin = time.Now()
	again, err := s.EnsureBuiltin(t.Context(), binary)
	ok(t, err)
	t.Logf("found in %v", time.Since(begin))
	if again.ID != i.ID || !i.Pinned || i.Names[0] != BuiltinName {
		t.Errorf("%+v", i)
	}
	if got, err := s.Pull(t.Context(), PullRequest{Ref: "minato.local/hello"}); err != nil || got.ID != i.ID {
		t.Errorf("pull: %v", err)
	}
	if _, err := s.Pull(t.Context(), PullRequest{Ref: "minato.local/other"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("pull of another: %v", err)
	}
	if err := s.Remove(t.Context(), BuiltinName, RemoveOptions{}); !errors.Is(err, ErrPinned) {
		t.Errorf("remove: %v", err)
	}
	ok(t, os.WriteFile(i.Layers[0]+"/hello", []byte("damaged"), 0o755))
	mended, err := s.EnsureBuiltin(t.Context(), binary)
	ok(t, err)
	if b, _ := os.ReadFile(mended.Layers[0] + "/hello"); !bytes.Equal(b, binary) {
		t.Error("a damaged program was not mended")
	}
	next, err := s.EnsureBuiltin(t.Context(), append(binary, '!'))
	ok(t, err)
	old, found := s.Resolve(i.ID)
	if !found || old.Pinned || len(old.Names) != 0 || next.ID == i.ID {
		t.Errorf("after an upgrade the old image is %+v", old)
	}
	if got, err := reopen(t, s).EnsureBuiltin(t.Context(), append(binary, '!')); err != nil || got.ID != next.ID {
		t.Errorf("after a restart: %v", err)
	}
}
