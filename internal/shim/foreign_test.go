package shim_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// foreignNode makes its containers with another OCI runtime.
func foreignNode(t *testing.T, name string) *node {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (Debian package %s)", err, name)
	}
	n := newNode(t)
	n.runtime = path
	return n
}

// TestForeign holds other OCI runtimes to what our own containers do.
func TestForeign(t *testing.T) {
	for _, name := range []string{"crun", "runc"} {
		t.Run(name, func(t *testing.T) {
			n := foreignNode(t, name)
			t.Run("life", func(t *testing.T) { n.foreignLife(t) })
			t.Run("sessions", func(t *testing.T) { n.foreignSessions(t) })
			t.Run("terminal", func(t *testing.T) { n.foreignTerminal(t) })
			t.Run("failures", func(t *testing.T) { n.foreignFailures(t) })
			t.Run("the program is gone", func(t *testing.T) { n.foreignGone(t) })
		})
	}
}

// feed writes to a container's stdin through an attachment, whose end the returned function awaits.
func (n *node) feed(id, text string) (ended func()) {
	in, out := pipe(n.t)
	if _, err := out.WriteString(text); err != nil {
		n.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Attach(ctxFor(n.t), id, shim.Stdio{In: in}) }()
	return func() {
		if err := <-done; err != nil && !errors.Is(err, shim.ErrNotFound) {
			n.t.Errorf("attach: %v", err)
		}
	}
}

func (n *node) foreignLife(t *testing.T) {
	ctx := ctxFor(t)
	r := n.request(nil, sh("echo out; echo err >&2; read x; echo got $x; exit 7")...)
	r.Stdin = true
	pid, err := n.Create(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.Create(ctx, r); err != nil || again != pid {
		t.Fatalf("repeated create: pid %d, %v; want pid %d", again, err, pid)
	}
	for range 2 {
		if err := n.Start(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both lines in the log", func() bool { return len(logLines(t, r.LogPath)) == 2 })
	kill9(n.info().Pid)
	limit := int64(64 << 20)
	if err := n.UpdateResources(ctx, r.ID, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}); err != nil {
		t.Errorf("update: %v", err)
	}
	if b, _ := os.ReadFile("/sys/fs/cgroup/memory" + n.cgroup + "/" + r.ID + "/memory.limit_in_bytes"); string(b) != "67108864\n" {
		t.Errorf("limit %q", b)
	}
	defer n.feed(r.ID, "word\n")()
	if st := n.wait(r.ID); st.ExitCode != 7 || st.Reason != "" || !strings.HasSuffix(logText(t, r.LogPath), "got word\n") {
		t.Errorf("%+v, log %q", st, logText(t, r.LogPath))
	}
	for range 2 {
		if err := n.Delete(ctx, r.ID); err != nil {
			t.Error(err)
		}
	}
}

func (n *node) foreignSessions(t *testing.T) {
	ctx := ctxFor(t)
	r := n.start(func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, "OWN=1"); s.Process.Cwd = "/tmp" }, "sleep", "1000")
	n.runs(r.ID, "sleep")
	for _, c := range []struct {
		req       shim.ExecRequest
		out, errs string
		code      int
	}{
		{shim.ExecRequest{Args: sh("cat; echo oops >&2; pwd; exit 3")}, "in/tmp\n", "oops\n", 3},
		{shim.ExecRequest{Args: sh("cat /proc/1/comm; echo $OWN$NEW"), Env: []string{"NEW=2", "PATH=/bin"}}, "sleep\n2\n", "", 0},
		{shim.ExecRequest{Args: sh("grep -E 'Seccomp:|CapEff' /proc/self/status")}, "CapEff:\t00000000a80425fb\nSeccomp:\t2\n", "", 0},
		{shim.ExecRequest{Args: sh("ls /proc/self/fd | wc -l")}, "4\n", "", 0},
	} {
		in := ""
		if strings.HasPrefix(c.out, "in") {
			in = "in"
		}
		if out, errs, res := n.execOut(r.ID, c.req, in); out != c.out || errs != c.errs || res.ExitCode != c.code {
			t.Errorf("%q: %q %q %+v", c.req.Args, out, errs, res)
		}
	}
	if _, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"nosuch"}}, shim.Stdio{}); !errors.Is(err, shim.ErrCreate) {
		t.Errorf("exec of nothing: %v", err)
	}
	family, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("sleep 2000 & sleep 2000")}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	sleepers := func() string {
		out, _, _ := n.execOut(r.ID, shim.ExecRequest{Args: sh("ps -o stat,args | grep '[2]000' | grep -v Z | grep -v sh")}, "")
		return out
	}
	eventually(t, "both sleep", func() bool { return strings.Count(sleepers(), "\n") == 2 })
	if err := family.Kill(ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if res, err := family.Wait(ctx); err != nil || res.ExitCode != 137 {
		t.Errorf("killed: %+v, %v", res, err)
	}
	eventually(t, "none sleeps", func() bool { return sleepers() == "" })
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"sleep", "1000"}}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 137 {
		t.Errorf("session after its container: %+v, %v", res, err)
	}
}

func (n *node) foreignTerminal(t *testing.T) {
	ctx := ctxFor(t)
	r := n.start(func(s *specs.Spec) { s.Process.Terminal = true }, sh("tty; read x; stty size; exit 5")...)
	if err := n.Resize(ctx, r.ID, 90, 20); err != nil {
		t.Fatal(err)
	}
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("read x; stty size; echo got $x; exit 4"), TTY: true, Width: 100, Height: 30}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	c := newReader(x.Console())
	if _, err := x.Console().WriteString("word\n"); err != nil { // crun may size a terminal when its program runs already
		t.Fatal(err)
	}
	c.until(t, "30 100")
	c.until(t, "got word")
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 4 {
		t.Errorf("%+v, %v", res, err)
	}
	defer n.feed(r.ID, "\n")()
	if st := n.wait(r.ID); st.ExitCode != 5 || !strings.Contains(logText(t, r.LogPath), "20 90") {
		t.Errorf("%+v, log %q", st, logText(t, r.LogPath))
	}
}

func (n *node) foreignFailures(t *testing.T) {
	ctx := ctxFor(t)
	if _, err := n.Create(ctx, n.request(nil, "nosuch")); !errors.Is(err, shim.ErrCreate) || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("no such program: %v", err)
	}
	r := n.request(nil, "true")
	r.Runtime = "/nosuch/runtime"
	if _, err := n.Create(ctx, r); !errors.Is(err, shim.ErrCreate) || !strings.Contains(err.Error(), "/nosuch/runtime") {
		t.Errorf("no such runtime: %v", err)
	}
	if list, _, err := n.List(ctx); err != nil || len(list) != 1 { // the terminal's
		t.Errorf("left: %+v, %v", list, err)
	}
}

// foreignGone: a container outlives the program that made it, and can be stopped and removed all the same.
func (n *node) foreignGone(t *testing.T) {
	ctx := ctxFor(t)
	program := filepath.Join(t.TempDir(), filepath.Base(n.runtime))
	b, err := os.ReadFile(n.runtime)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	r := n.request(nil, sh("sleep 1000 & exec sleep 1000")...)
	r.Runtime = program
	n.startRequest(r)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := n.Signal(ctx, r.ID, syscall.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	if st := n.wait(r.ID); st.ExitCode != 137 {
		t.Errorf("%+v", st)
	}
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Error(err)
	}
}

func TestForeignKillDuringChanges(t *testing.T) {
	t.Run("shim", func(t *testing.T) {
		killDuringChanges(foreignNode(t, "crun"), 6, func(i shim.Info) int { return i.Pid })
	})
	t.Run("keeper", func(t *testing.T) {
		killDuringChanges(foreignNode(t, "crun"), 2, func(i shim.Info) int { return i.KeeperPid })
	})
}
