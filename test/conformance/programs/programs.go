// Package programs builds what the conformance run needs from Go modules: the suite itself as a test binary, the ginkgo
// command that runs it in parallel, and the programs inside the images. The command conformance calls it.
package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Version is the Kubernetes whose suite runs. The suite must know it, or discovery and version tests fail.
const Version = "v1.37.2"

// tags are those of minato's own build, so that both share compiled packages.
const tags = "grpcnotrace"

// program is one binary: an import path, or a package of this module.
type program struct{ name, path string }

// all are built in this order; the suite, which takes longest, apart.
var all = []program{
	{"ginkgo", "github.com/onsi/ginkgo/v2/ginkgo"},
	{"hostpathplugin", "./cmd/hostpathplugin"},
	{"nnp", "k8s.io/kubernetes/test/images/nonewprivs"},
	{"regression-issue-74839", "k8s.io/kubernetes/test/images/regression-issue-74839"},
	{"consumer", "k8s.io/kubernetes/test/images/resource-consumer"},
	{"consume-cpu", "k8s.io/kubernetes/test/images/resource-consumer/consume-cpu"},
	{"agnhost", "k8s.io/kubernetes/test/images/agnhost"},
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"sample-apiserver", "k8s.io/sample-apiserver"},
}

// Builder builds into Bin out of the module in Dir.
type Builder struct {
	Dir, Bin string
	Log      *slog.Logger
}

// Stamp changes with whatever the programs are made of: the modules' versions and this module's own files.
func (b Builder) Stamp(ctx context.Context) (string, error) {
	h := sha256.New()
	goVersion, err := b.goTool(ctx, "version")
	if err != nil {
		return "", err
	}
	fmt.Fprintln(h, goVersion, all)
	for _, f := range []string{"go.mod", "go.sum", "suite_test.go", "cmd/hostpathplugin/main.go"} {
		body, err := os.ReadFile(filepath.Join(b.Dir, f))
		if err != nil {
			return "", err
		}
		h.Write(body)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Build makes every program that is missing or was made of something else than the stamp says.
func (b Builder) Build(ctx context.Context, stamp string) error {
	if err := os.MkdirAll(b.Bin, 0o755); err != nil {
		return err
	}
	for _, p := range all {
		if err := b.once(ctx, stamp, p.name, "build", "-tags", tags, "-ldflags", "-s -w", "-o", p.name, p.path); err != nil {
			return err
		}
	}
	// go vet would first read all packages that the suite stands on, about three thousand.
	return b.once(ctx, stamp, "e2e.test", "test", "-c", "-vet=off", "-tags", tags, "-ldflags", "-s -w "+versionFlags(), "-o", "e2e.test", ".")
}

func versionFlags() string {
	const v = "k8s.io/component-base/version"
	return strings.Join([]string{"-X " + v + ".gitVersion=" + Version, "-X " + v + ".gitMajor=1", "-X " + v + ".gitMinor=37",
		"-X k8s.io/client-go/pkg/version.gitVersion=" + Version}, " ")
}

// once runs go unless the program's stamp file says that it is there. The output's name stands before the package.
func (b Builder) once(ctx context.Context, stamp, name string, args ...string) error {
	out := filepath.Join(b.Bin, name)
	if have, err := os.ReadFile(out + ".stamp"); err == nil && string(have) == stamp {
		if _, err := os.Stat(out); err == nil {
			return nil
		}
	}
	b.Log.Info("building", "program", name)
	start := time.Now()
	args[len(args)-2] = out
	if _, err := b.goTool(ctx, args...); err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	b.Log.Info("built", "program", name, "seconds", int(time.Since(start).Seconds()))
	return os.WriteFile(out+".stamp", []byte(stamp), 0o644)
}

// KubernetesSource returns the directory of the Kubernetes module, which some images take files from.
func (b Builder) KubernetesSource(ctx context.Context) (string, error) {
	if _, err := b.goTool(ctx, "mod", "download", "k8s.io/kubernetes"); err != nil {
		return "", err
	}
	return b.goTool(ctx, "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes")
}

func (b Builder) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, tail(stderr.String(), 4000))
	}
	return strings.TrimSpace(string(out)), nil
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}
