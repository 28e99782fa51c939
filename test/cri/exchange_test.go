package cri

import (
	"context"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/bench/upstream"
)

// Built by everyone: three layers that add, link, remove and hide, and a user.
//
//go:embed testdata/exchange/Dockerfile
var exchangeFile string

// exchangeSays is what that image says, whoever built it and whoever runs it.
const exchangeSays = "one\n/d:\na\nhard\nsoft\n\n/gone:\ny\n1000\nbuilder\n"

// An exchange has images go from us to others and back.
type exchange struct {
	t                 *testing.T
	dir, data, minato string
}

// TestExchange: images that we build run under runc and containerd, and those of buildah and skopeo run here.
func TestExchange(t *testing.T) {
	if !*containerdToo {
		t.Log("others are asked with -containerd")
		return
	}
	x := &exchange{t: t, dir: t.TempDir(), minato: os.Getenv("MINATO")}
	if x.minato == "" {
		x.minato = "../../bin/minato"
	}
	x.data = filepath.Join(x.dir, "data")
	x.context()
	t.Cleanup(func() { x.do(x.minato, "down", "--purge", "--data-dir", x.data) })
	t.Run("from us", func(t *testing.T) {
		ours := x.path("ours.tar")
		x.do(x.minato, "image", "build", "--data-dir", x.data, "-t", "exchange/ours:1", x.path("context"))
		x.runsHere(t, "exchange/ours:1")
		x.do(x.minato, "image", "save", "--data-dir", x.data, "-o", ours, "exchange/ours:1")
		t.Run("to containerd", func(t *testing.T) { x.containerd(t, ours) })
		t.Run("to buildah and runc", func(t *testing.T) { x.runc(t, ours) })
	})
	t.Run("from buildah", func(t *testing.T) {
		x.buildah("bud", "--isolation", "chroot", "--layers", "-t", "exchange/theirs:1", x.path("context"))
		for name, push := range map[string][]string{
			"oci":    {"exchange/theirs:1", "oci-archive:" + x.path("oci.tar")},
			"zstd":   {"--compression-format", "zstd", "exchange/theirs:1", "oci-archive:" + x.path("zstd.tar")},
			"docker": {"exchange/theirs:1", "docker-archive:" + x.path("docker.tar") + ":localhost/exchange/theirs:1"},
		} {
			x.buildah(append([]string{"push"}, push...)...)
			x.comesHere(t, name, x.path(name+".tar"))
		}
	})
	t.Run("by skopeo", func(t *testing.T) {
		for name, from := range map[string]string{"again": "docker-archive:" + x.path("docker.tar"), "back": "oci-archive:" + x.path("ours.tar")} {
			x.do("skopeo", "--insecure-policy", "copy", from, "oci-archive:"+x.path(name+".tar"))
			x.comesHere(t, name, x.path(name+".tar"))
		}
	})
}

func (x *exchange) path(name string) string { return filepath.Join(x.dir, name) }

// context is what both builders read.
func (x *exchange) context() {
	dir := x.path("context")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		x.t.Fatal(err)
	}
	for name, data := range map[string][]byte{"Dockerfile": []byte(exchangeFile), "base.tar": layer(x.t).data} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
}

// do runs a program to its end and returns what it said.
func (x *exchange) do(args ...string) string {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.t.Context()), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+x.dir, "TMPDIR="+x.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		x.t.Fatalf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// buildah keeps everything of its own where the test is.
func (x *exchange) buildah(args ...string) string {
	x.t.Helper()
	return x.do(append([]string{"buildah", "--root", x.path("storage"), "--runroot", x.path("storage-run"), "--storage-driver", "vfs"}, args...)...)
}

func (x *exchange) runsHere(t *testing.T, image string) {
	t.Helper()
	if got := x.do(x.minato, "run", "--data-dir", x.data, "--rm", "--pull", "never", image); got != exchangeSays {
		t.Errorf("%s says here %q, want %q", image, got, exchangeSays)
	}
}

func (x *exchange) comesHere(t *testing.T, name, archive string) {
	t.Helper()
	x.do(x.minato, "image", "load", "--data-dir", x.data, "--name", "exchange/"+name+":1", archive)
	x.runsHere(t, "exchange/"+name+":1")
}

// containerd imports the archive and runs the image with Debian's runc.
func (x *exchange) containerd(t *testing.T, archive string) {
	if err := upstream.Build(t.Context(), upstream.Dir(), "containerd", "containerd-shim-runc-v2", "ctr", "pause"); err != nil {
		t.Fatal(err)
	}
	u, err := upstream.New(t.Context(), upstream.Dir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	socket, err := u.StartRuntime(t.Context(), *cniDir, archive)
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.Net.Command(t.Context(), filepath.Join(upstream.Dir(), "ctr"), "-a", socket, "-n", "k8s.io", "run", "--rm",
		"--cgroup", u.Cgroup.Path+"/exchange", "docker.io/exchange/ours:1", "exchange").Output()
	if err != nil || string(got) != exchangeSays {
		t.Errorf("under containerd: %q, %v", got, err)
	}
}

// runc runs what buildah unpacks.
func (x *exchange) runc(t *testing.T, archive string) {
	from := "oci-archive:" + archive
	bundle := x.path("bundle")
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(x.buildah("from", "--quiet", from))
	root := strings.TrimSpace(x.buildah("mount", name))
	defer x.buildah("umount", name)
	x.do("runc", "spec", "--bundle", bundle)
	file := filepath.Join(bundle, "config.json")
	var spec map[string]any
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	image := x.configOf(t, name)
	process := spec["process"].(map[string]any)
	process["terminal"], process["user"], process["env"] = false, map[string]any{"uid": 1000, "gid": 1000}, image.Env
	process["args"] = append(image.Entrypoint, image.Cmd...)
	spec["root"] = map[string]any{"path": root}
	spec["linux"].(map[string]any)["cgroupsPath"] = "/minato-cri-exchange"
	if err := os.WriteFile(file, encode(t, spec), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := x.do("runc", "--root", x.path("runc"), "run", "--bundle", bundle, "exchange"); got != exchangeSays {
		t.Errorf("under runc: %q", got)
	}
}

type imageWords struct {
	Env, Entrypoint, Cmd []string
	User                 string
}

// configOf is what buildah reads of the image's configuration.
func (x *exchange) configOf(t *testing.T, container string) imageWords {
	var found struct {
		OCIv1 struct {
			Config imageWords `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(x.buildah("inspect", container)), &found); err != nil {
		t.Fatal(err)
	}
	if c := found.OCIv1.Config; c.User != "1000" || len(c.Entrypoint) == 0 {
		t.Errorf("buildah reads %+v", c)
	}
	return found.OCIv1.Config
}
