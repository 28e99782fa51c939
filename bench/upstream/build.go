package upstream

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"minato.dev/minato/bench/measure"
)

// The versions that are measured against.
const (
	Kubernetes = "1.37.2"
	etcd       = "go.etcd.io/etcd/server/v3@v3.7.3"
	containerd = "github.com/containerd/containerd/v2@v2.4.2"
)

// The programs of a control plane, and what a node needs beside them.
var (
	Plane = []string{"etcd", "kube-apiserver"}
	Node  = []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "pause"}
)

// Dir is where the programs are kept unless a command is told otherwise.
func Dir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "k8s-upstream", "bin")
}

// Build makes those programs that dir does not have, from Go modules, stripped and version-stamped as releases are.
// It takes minutes for each when nothing is cached.
func Build(ctx context.Context, dir string, programs ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(dir, p)); err == nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "building upstream's %s\n", p)
		if err := build(ctx, dir, p); err != nil {
			return fmt.Errorf("build %s: %w", p, err)
		}
	}
	return nil
}

func build(ctx context.Context, dir, program string) error {
	out := filepath.Join(dir, program)
	switch program {
	case "pause":
		return measure.Output(golang(ctx, "", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./bench/upstream/pause"))
	case "etcd":
		return module(ctx, dir, etcd, "go.etcd.io/etcd/server/v3", out)
	case "containerd", "containerd-shim-runc-v2", "ctr":
		return module(ctx, dir, containerd, "github.com/containerd/containerd/v2/cmd/"+program, out)
	}
	src, err := kubernetes(ctx, dir)
	if err != nil {
		return err
	}
	stamp := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamp += fmt.Sprintf(" -X %s.gitVersion=v%s -X %s.gitMajor=1 -X %s.gitMinor=37", pkg, Kubernetes, pkg, pkg)
	}
	return measure.Output(golang(ctx, src, "build", "-trimpath", "-ldflags", stamp, "-o", out, "k8s.io/kubernetes/cmd/"+program))
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

// source is the directory of a module that only names what to build.
func source(bin, name string) (dir string, fresh bool, err error) {
	dir = filepath.Join(filepath.Dir(bin), "src", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, err
	}
	_, err = os.Stat(filepath.Join(dir, "go.mod"))
	return dir, err != nil, nil
}

// module builds a package of an ordinary module.
func module(ctx context.Context, bin, version, pkg, out string) error {
	src, fresh, err := source(bin, filepath.Base(out))
	if err != nil {
		return err
	}
	if fresh {
		if err := measure.Output(golang(ctx, src, "mod", "init", "peer")); err != nil {
			return err
		}
	}
	if err := measure.Output(golang(ctx, src, "get", version)); err != nil {
		return err
	}
	return measure.Output(golang(ctx, src, "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg))
}

// kubernetes makes a module that requires k8s.io/kubernetes and, as that does, each of its staging modules.
func kubernetes(ctx context.Context, bin string) (string, error) {
	src, fresh, err := source(bin, "kube")
	if err != nil || !fresh {
		return src, err
	}
	var at struct{ Dir string }
	if err := answer(golang(ctx, src, "mod", "download", "-json", "k8s.io/kubernetes@v"+Kubernetes), &at); err != nil {
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
	return src, os.WriteFile(filepath.Join(src, "go.mod"), []byte(b.String()), 0o644)
}

func answer(c *exec.Cmd, into any) error {
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	return json.Unmarshal(out, into)
}
