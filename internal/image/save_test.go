package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func save(t testing.TB, s *Store, format Format, refs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	ok(t, s.Save(t.Context(), &b, format, refs...))
	return b.Bytes()
}

// skopeo runs Debian's skopeo, the other reader and writer of everything here.
func skopeo(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("skopeo", append([]string{"--insecure-policy"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestSaveAndLoadKeepDigests(t *testing.T) {
	for name, pack := range map[string]func(testing.TB, []byte) []byte{"plain": nil, "gzip": gz, "zstd": zst} {
		t.Run(name, func(t *testing.T) {
			m := build(t, nil, pack, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", strings.Repeat("2", 100_000))))
			from := open(t)
			was := load(t, from, m.ociArchive(t, "example.org/web:1"))
			if !was.Local {
				t.Error("a loaded image passes for one that a registry has")
			}
			first := save(t, from, OCIArchive, "example.org/web:1")
			if again := save(t, from, OCIArchive, "example.org/web:1"); !bytes.Equal(first, again) {
				t.Error("equal images make different archives")
			}
			to := open(t)
			is := load(t, to, first)
			if is.ID != was.ID || fmt.Sprint(is.Digests, is.Names) != fmt.Sprint(was.Digests, was.Names) {
				t.Errorf("%s %v %v; was %s %v %v", is.ID, is.Digests, is.Names, was.ID, was.Digests, was.Names)
			}
			is = load(t, open(t), save(t, to, DockerArchive, is.ID))
			if is.ID != was.ID || is.Names[0] != "example.org/web:1" {
				t.Errorf("by docker-archive: %s %v", is.ID, is.Names)
			}
		})
	}
}

func TestSaveSeveralUnderTheirNames(t *testing.T) {
	s := open(t)
	shared := layer(t, file("shared", "1"))
	a := load(t, s, build(t, nil, gz, shared, layer(t, file("a", "1"))).ociArchive(t, "a:1"))
	load(t, s, build(t, nil, gz, shared, layer(t, file("b", "1"))).ociArchive(t, "b:1"))
	_, err := s.Tag(t.Context(), "a:1", "a:2")
	ok(t, err)
	for _, format := range []Format{OCIArchive, DockerArchive} {
		for refs, want := range map[string]string{"a:2 b:1": "[docker.io/library/a:2] [docker.io/library/b:1]",
			a.ID: "[docker.io/library/a:1 docker.io/library/a:2]"} {
			to := open(t)
			_, err := to.Load(t.Context(), bytes.NewReader(save(t, s, format, strings.Fields(refs)...)), LoadOptions{})
			ok(t, err)
			var got []string
			for _, i := range to.List() {
				got = append(got, fmt.Sprint(i.Names))
			}
			if fmt.Sprint(strings.Join(got, " ")) != want {
				t.Errorf("%s %s: %v, want %s", format, refs, got, want)
			}
		}
	}
	err = s.Save(t.Context(), &bytes.Buffer{}, OCIArchive, "a:1", "nothing:1")
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
	wantError(t, s.Save(t.Context(), &bytes.Buffer{}, "zip", "a:1"), `format "zip": must be oci-archive or docker-archive`)
}

// TestLayersInTwoForms: a layer that is here in another compression comes all the same, so that the image is whole; what
// somebody has taken away is missed, and comes with the next pull.
func TestLayersInTwoForms(t *testing.T) {
	plain := layer(t, file("a", "1"))
	s := open(t)
	load(t, s, build(t, nil, nil, plain).ociArchive(t, "first:1"))
	other := build(t, func(i *ocispec.Image, _ *ocispec.Manifest) { i.Author = "x" }, gz, plain)
	addr := fake(t, map[string]*made{"second:1": other}, nil)
	_, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/second:1"})
	ok(t, err)
	saves := func() error { return s.Save(t.Context(), &bytes.Buffer{}, OCIArchive, addr+"/second:1") }
	ok(t, saves())
	d, err := s.Inspect(addr + "/second:1")
	if err != nil || d.Manifest == nil || d.ID != other.config.Digest.String() {
		t.Fatalf("%+v, %v", d, err)
	}
	ok(t, os.Remove(s.blobPath(d.Layers[0].Digest.String())))
	if err := saves(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("%v is not ErrIncomplete", err)
	}
	_, err = s.Pull(t.Context(), PullRequest{Ref: addr + "/second:1"})
	ok(t, err)
	ok(t, saves())
}

func TestInspect(t *testing.T) {
	s := open(t)
	m := build(t, nil, gz, layer(t, file("a", "1")))
	i := load(t, s, m.ociArchive(t, "web:1"))
	d, err := s.Inspect("web:1")
	ok(t, err)
	if d.ID != i.ID || d.Manifest.Digest != m.root.Digest || len(d.Layers) != 1 || d.OS != "linux" || d.Config.User != "1000" || !d.Local {
		t.Errorf("%+v", d)
	}
	if _, err := s.Inspect("none:1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
}

func TestRemoveUnused(t *testing.T) {
	s := open(t)
	_, err := s.EnsureBuiltin(t.Context(), []byte("program"))
	ok(t, err)
	local := load(t, s, build(t, nil, gz, layer(t, file("l", "1"))).ociArchive(t, "local:1"))
	pulled := map[string]*made{}
	for _, n := range []string{"used:1", "unused:1"} {
		pulled[n] = build(t, nil, gz, layer(t, file(n, "1")))
	}
	addr := fake(t, pulled, nil)
	for n := range pulled {
		_, err := s.Pull(t.Context(), PullRequest{Ref: addr + "/" + n})
		ok(t, err)
	}
	inUse := RemoveOptions{InUse: func(i Image) bool { return i.HasName(addr + "/used:1") }}
	for _, c := range []struct {
		o          UnusedOptions
		gone, left int
	}{
		{UnusedOptions{RemoveOptions: inUse, DryRun: true}, 1, 4},
		{UnusedOptions{RemoveOptions: inUse}, 1, 3},
		{UnusedOptions{RemoveOptions: inUse, Local: true}, 1, 2},
		{UnusedOptions{Local: true}, 1, 1},
	} {
		gone, freed, err := s.RemoveUnused(t.Context(), c.o)
		if err != nil || len(gone) != c.gone || freed == 0 || len(s.List()) != c.left {
			t.Errorf("%+v: %d gone, %d bytes, %d left, %v; want %d, %d", c.o, len(gone), freed, len(s.List()), err, c.gone, c.left)
		}
	}
	if _, here := s.Resolve(BuiltinName); !here {
		t.Error("the pinned image is gone")
	}
	if _, here := s.Resolve(local.ID); here {
		t.Error("the local image is still there")
	}
}

func TestSkopeoReadsWhatWeSave(t *testing.T) {
	s := open(t)
	m := build(t, nil, gz, layer(t, dir("d"), file("d/a", "1")), layer(t, file("d/b", "2")))
	i := load(t, s, m.ociArchive(t, "example.org/web:1"))
	at := t.TempDir()
	for format, as := range map[Format]string{OCIArchive: "oci-archive:%s:example.org/web:1", DockerArchive: "docker-archive:%s:example.org/web:1"} {
		tar := filepath.Join(at, string(format))
		ok(t, os.WriteFile(tar, save(t, s, format, "example.org/web:1"), 0o600))
		copied := filepath.Join(at, string(format)+".copied")
		skopeo(t, "copy", fmt.Sprintf(as, tar), "oci-archive:"+copied+":example.org/web:1")
		b, err := os.ReadFile(copied)
		ok(t, err)
		back := load(t, open(t), b)
		if format == OCIArchive && back.Digests[0] != i.Digests[0] {
			t.Errorf("skopeo copied %v to %v", i.Digests, back.Digests)
		}
		if !strings.Contains(skopeo(t, "inspect", "--config", fmt.Sprintf(as, tar)), digest.FromBytes(layer(t, file("d/b", "2"))).String()) {
			t.Errorf("skopeo misses a layer of the %s", format)
		}
		if tar := filepath.Join(at, "docker.tar"); format == OCIArchive {
			skopeo(t, "copy", fmt.Sprintf(as, filepath.Join(at, string(format))), "docker-archive:"+tar+":example.org/web:1")
			b, err := os.ReadFile(tar)
			ok(t, err)
			if back := load(t, open(t), b); len(back.Layers) != 2 {
				t.Errorf("skopeo's docker-archive: %+v", back)
			}
		}
	}
}
