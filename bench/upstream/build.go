package upstream

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"minato.dev/minato/bench/measure"
)

// Kubernetes is the version that is measured against.
const Kubernetes = "1.37.2"

// A program of upstream's: a package of a module.
type program struct{ name, module, version, pkg string }

const (
	etcd       = "go.etcd.io/etcd/server/v3"
	containerd = "github.com/containerd/containerd/v2"
	coredns    = "github.com/coredns/coredns"
	kubernetes = "k8s.io/kubernetes"
	buildkit   = "github.com/moby/buildkit"
)

var programs = []program{
	{"etcd", etcd, "v3.7.3", etcd},
	{"kube-apiserver", kubernetes, "v" + Kubernetes, kubernetes + "/cmd/kube-apiserver"},
	{"kube-controller-manager", kubernetes, "v" + Kubernetes, kubernetes + "/cmd/kube-controller-manager"},
	{"kube-scheduler", kubernetes, "v" + Kubernetes, kubernetes + "/cmd/kube-scheduler"},
	{"kubelet", kubernetes, "v" + Kubernetes, kubernetes + "/cmd/kubelet"},
	{"kube-proxy", kubernetes, "v" + Kubernetes, kubernetes + "/cmd/kube-proxy"},
	{"containerd", containerd, "v2.4.2", containerd + "/cmd/containerd"},
	{"containerd-shim-runc-v2", containerd, "v2.4.2", containerd + "/cmd/containerd-shim-runc-v2"},
	{"ctr", containerd, "v2.4.2", containerd + "/cmd/ctr"},
	{"coredns", coredns, "v1.14.7", coredns},
	{"pause", "", "", "./bench/upstream/pause"},
	{"buildkitd", buildkit, "v0.34.2", buildkit + "/cmd/buildkitd"},
	{"buildctl", buildkit, "v0.34.2", buildkit + "/cmd/buildctl"},
}

// The programs of a control plane, and what a node needs beside them.
var (
	Plane = []string{"etcd", "kube-apiserver"}
	Node  = []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "coredns", "pause"}
)

// Builder is what makes images; no cluster needs it.
var Builder = []string{"buildkitd", "buildctl"}

// Programs are all of a cluster.
func Programs() (names []string) {
	for _, p := range programs {
		if !slices.Contains(Builder, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// Dir is where the programs are kept unless a command is told otherwise.
func Dir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "k8s-upstream", "bin")
}

// Build makes those programs that dir does not have in the right version, from Go modules, stripped and version-stamped
// as releases are. It takes minutes for each when nothing is cached, and says on standard error how long.
func Build(ctx context.Context, dir string, names ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		if !slices.Contains(names, p.name) || p.built(filepath.Join(dir, p.name)) {
			continue
		}
		fmt.Fprintf(os.Stderr, "building upstream's %s %s\n", p.name, p.version)
		began := time.Now()
		if err := p.build(ctx, dir); err != nil {
			return fmt.Errorf("build %s: %w", p.name, err)
		}
		fmt.Fprintf(os.Stderr, "built %s in %.0f s\n", p.name, time.Since(began).Seconds())
	}
	return nil
}

// built says whether a file is the program in its version, as the go command wrote into it.
func (p program) built(file string) bool {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return false
	}
	return p.module == "" || slices.ContainsFunc(append(info.Deps, &info.Main), func(m *debug.Module) bool {
		return m.Path == p.module && m.Version == p.version
	})
}

// build puts the program into dir in one step, so that one cut short is not taken for built.
func (p program) build(ctx context.Context, dir string) error {
	src, flags, err := p.source(ctx, dir)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, p.name)
	part := out + ".part"
	if err := measure.Output(golang(ctx, src, "build", "-trimpath", "-ldflags", flags, "-o", part, p.pkg)); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return os.Rename(part, out)
}

// source is the directory to build in, and what the linker is told.
func (p program) source(ctx context.Context, bin string) (dir, flags string, err error) {
	const stripped = "-s -w"
	switch p.module {
	case "":
		return "", stripped, nil
	case kubernetes:
		dir, err = kube(ctx, bin)
		flags = stripped
		for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
			flags += fmt.Sprintf(" -X %s.gitVersion=v%s -X %s.gitMajor=1 -X %s.gitMinor=37", pkg, Kubernetes, pkg, pkg)
		}
		return dir, flags, err
	}
	dir, err = module(ctx, bin, p)
	return dir, stripped, err
}

// golang is a go command in dir that may complete the go.mod there.
func golang(ctx context.Context, dir string, arg ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", arg...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if dir != "" {
		c.Env = append(c.Env, "GOFLAGS=-mod=mod")
	}
	return c
}

// place makes the directory of a module that only names what to build, and says whether it has a go.mod.
func place(bin, name string) (dir string, known bool, err error) {
	dir = filepath.Join(filepath.Dir(bin), "src", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, err
	}
	_, err = os.Stat(filepath.Join(dir, "go.mod"))
	return dir, err == nil, nil
}

// module makes a module that requires the program's.
func module(ctx context.Context, bin string, p program) (string, error) {
	src, known, err := place(bin, p.name)
	if err != nil {
		return "", err
	}
	if !known {
		if err := measure.Output(golang(ctx, src, "mod", "init", "peer")); err != nil {
			return "", err
		}
	}
	return src, measure.Output(golang(ctx, src, "get", p.pkg+"@"+p.version))
}

// kube makes a module that requires k8s.io/kubernetes and, as that does, each of its staging modules.
func kube(ctx context.Context, bin string) (string, error) {
	src, known, err := place(bin, "kube-"+Kubernetes)
	if err != nil || known {
		return src, err
	}
	var at struct{ Dir string }
	if err := answer(golang(ctx, src, "mod", "download", "-json", kubernetes+"@v"+Kubernetes), &at); err != nil {
		return "", err
	}
	var theirs struct {
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := answer(golang(ctx, at.Dir, "mod", "edit", "-json", "go.mod"), &theirs); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "module peer\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v%s\n", Kubernetes)
	for _, r := range theirs.Replace {
		if strings.HasPrefix(r.New.Path, "./staging/") {
			fmt.Fprintf(&b, "replace %s => %s v0.%s\n", r.Old.Path, r.Old.Path, strings.TrimPrefix(Kubernetes, "1."))
		}
	}
	part := filepath.Join(src, "go.mod.part")
	if err := os.WriteFile(part, []byte(b.String()), 0o644); err != nil {
		return "", err
	}
	return src, os.Rename(part, filepath.Join(src, "go.mod"))
}

func answer(c *exec.Cmd, into any) error {
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	return json.Unmarshal(out, into)
}
