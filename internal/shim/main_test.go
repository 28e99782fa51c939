package shim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/shimtest"
)

// binary is the minato-shim under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "these tests make containers: run them as root")
			return 1
		}
		dir, err := os.MkdirTemp("", "shimtest")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if binary, err = shimtest.Program(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// A node is one shim with a root file system and a cgroup of its own.
type node struct {
	*shim.Client
	t      testing.TB
	cfg    shim.Config
	dir    string // bundles and logs
	rootfs string
	cgroup string
	n      atomic.Int32
	// started counts starts, which are made in two ways.
	started atomic.Int32
	// runtime makes the containers, where it is not our own.
	runtime string
	check   func(t testing.TB, log string, lines int) // of the counting containers' logs
}

func ctxFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only what hangs takes so long
	t.Cleanup(cancel)
	return ctx
}

// newNode starts a shim and checks at the end that nothing is left of it.
func newNode(t testing.TB) *node {
	t.Helper()
	run, err := os.MkdirTemp("/dev/shm", "shimtest")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, check: checkCounted, dir: t.TempDir(), cgroup: fmt.Sprintf("/minato-shimtest-%d/%s", os.Getpid(), filepath.Base(run))}
	n.cfg = shim.Config{Binary: binary, RunDir: run, Cgroup: n.cgroup + "-shim", Log: slog.New(slog.DiscardHandler)}
	n.rootfs = makeRootfs(t)
	if n.Client, err = shim.Ensure(ctxFor(t), n.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.shutdown(run) })
	return n
}

func (n *node) shutdown(run string) {
	t := n.t
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
	defer cancel()
	if t.Failed() {
		log, _ := os.ReadFile(filepath.Join(run, "shim.log"))
		t.Logf("shim.log:\n%s", log)
	}
	list, _, err := n.List(ctx)
	if err != nil {
		t.Errorf("list at the end: %v", err)
	}
	for _, c := range list {
		if err := n.Delete(ctx, c.ID); err != nil {
			t.Errorf("delete %s at the end: %v", c.ID, err)
		}
	}
	for _, sub := range []string{"c", "x", "lc", "oci"} {
		if left, _ := os.ReadDir(filepath.Join(run, sub)); len(left) > 0 {
			t.Errorf("records left in %s: %v", sub, left)
		}
	}
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	n.checkLeaks(run)
	removeCgroups(n.cgroup, filepath.Dir(n.cgroup))
}

// checkLeaks looks for processes, mounts and cgroups of this node.
func (n *node) checkLeaks(run string) {
	if _, err := os.Stat(run); err == nil {
		n.t.Errorf("run directory left: %s", run)
	}
	for _, c := range append(cgroupsUnder(n.cgroup), cgroupsUnder(n.cgroup+"-shim")...) {
		n.t.Errorf("cgroup left: %s", c)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, run) || strings.Contains(line, n.dir) {
			n.t.Errorf("mount left: %s", line)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if b, _ := os.ReadFile(p); strings.Contains(string(b), run) {
			n.t.Errorf("process left: %s %q", p, b)
		}
	}
}

func hierarchies() []string {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*")
	return append(dirs, "/sys/fs/cgroup")
}

func cgroupsUnder(path string) (found []string) {
	for _, h := range hierarchies() {
		left, _ := filepath.Glob(h + path + "/*/")
		found = append(found, left...)
	}
	return found
}

func removeCgroups(paths ...string) {
	for _, h := range hierarchies() {
		for _, p := range paths {
			_ = os.Remove(h + p)
		}
	}
}

// makeRootfs is busybox with its links, /proc, /dev and the like.
func makeRootfs(t testing.TB) string {
	root := filepath.Join(t.TempDir(), "rootfs")
	for _, d := range []string{"bin", "proc", "dev", "sys", "tmp", "etc", "root"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v (Debian package busybox-static)", err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	return root
}

var defaultCaps = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
	"CAP_AUDIT_WRITE"}

// spec is what a runtime would write for a default container; edit changes it.
func (n *node) spec(id string, edit func(*specs.Spec), args ...string) *specs.Spec {
	profile, err := seccomp.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: defaultCaps}}})
	if err != nil {
		n.t.Fatal(err)
	}
	s := &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"},
			Capabilities: &specs.LinuxCapabilities{Bounding: defaultCaps, Effective: defaultCaps, Permitted: defaultCaps}},
		Root: &specs.Root{Path: n.rootfs},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: n.cgroup + "/" + id,
			Resources:   &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace},
				{Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}},
			Seccomp:       profile,
			MaskedPaths:   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if edit != nil {
		edit(s)
	}
	return s
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// request writes a bundle and returns the request for it.
func (n *node) request(edit func(*specs.Spec), args ...string) shim.CreateRequest {
	n.t.Helper()
	id := fmt.Sprintf("c%d", n.n.Add(1))
	bundle := filepath.Join(n.dir, id)
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		n.t.Fatal(err)
	}
	b, err := json.Marshal(n.spec(id, edit, args...))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), b, 0o644); err != nil {
		n.t.Fatal(err)
	}
	return shim.CreateRequest{ID: id, Bundle: bundle, LogPath: filepath.Join(n.dir, id+".log"), Runtime: n.runtime}
}

// start creates and starts a container.
func (n *node) start(edit func(*specs.Spec), args ...string) shim.CreateRequest {
	n.t.Helper()
	r := n.request(edit, args...)
	n.startRequest(r)
	return r
}

// startRequest takes both ways in turns: one call and two.
func (n *node) startRequest(r shim.CreateRequest) {
	n.t.Helper()
	ctx := ctxFor(n.t)
	if n.started.Add(1)%2 == 0 {
		if _, err := n.Run(ctx, r); err != nil {
			n.t.Fatalf("run: %v", err)
		}
		return
	}
	if _, err := n.Create(ctx, r); err != nil {
		n.t.Fatalf("create: %v", err)
	}
	if err := n.Start(ctx, r.ID); err != nil {
		n.t.Fatalf("start: %v", err)
	}
}

// run runs a container to its end and returns its state and the content of its log.
func (n *node) run(edit func(*specs.Spec), args ...string) (shim.ContainerState, string) {
	n.t.Helper()
	r := n.start(edit, args...)
	st := n.wait(r.ID)
	return st, logText(n.t, r.LogPath)
}

func (n *node) wait(id string) shim.ContainerState {
	n.t.Helper()
	st, err := n.Wait(ctxFor(n.t), id)
	if err != nil {
		n.t.Fatalf("wait: %v", err)
	}
	return st
}

// A logLine is one parsed CRI line.
type logLine struct{ stream, tag, text string }

func logLines(t testing.TB, path string) []logLine {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []logLine
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 || !strings.HasSuffix(line, "\n") {
			t.Fatalf("torn log line %q", line)
		}
		if _, err := time.Parse(time.RFC3339Nano, f[0]); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		out = append(out, logLine{f[1], f[2], f[3]})
	}
	return out
}

// logText joins the content of a log as kubectl logs would.
func logText(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	for _, l := range logLines(t, path) {
		b.WriteString(l.text)
		if l.tag == "F" {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// eventually waits for a condition, which a kernel or another process brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute) // far beyond what a machine may take that does other work
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
