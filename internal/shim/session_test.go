package shim_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// execOut runs a script in a container and returns its output and result.
func (n *node) execOut(id string, r shim.ExecRequest, in string) (out, errOut string, res shim.ExecResult) {
	n.t.Helper()
	ctx := ctxFor(n.t)
	inR, inW := pipe(n.t)
	outR, outW := pipe(n.t)
	errR, errW := pipe(n.t)
	x, err := n.Exec(ctx, id, r, shim.Stdio{In: inR, Out: outW, Err: errW})
	for _, f := range []*os.File{inR, outW, errW} {
		f.Close()
	}
	if err != nil {
		n.t.Fatalf("exec %q: %v", r.Args, err)
	}
	if _, err := inW.WriteString(in); err != nil {
		n.t.Fatal(err)
	}
	inW.Close()
	a, _ := io.ReadAll(outR)
	b, _ := io.ReadAll(errR)
	if res, err = x.Wait(ctx); err != nil {
		n.t.Fatal(err)
	}
	if err := x.Close(ctx); err != nil {
		n.t.Error(err)
	}
	return string(a), string(b), res
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestExec(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, "OWN=1"); s.Process.Cwd = "/tmp" }, "sleep", "1000")
	n.runs(r.ID, "sleep")
	for _, c := range []struct {
		name     string
		req      shim.ExecRequest
		in       string
		out, err string
		code     int
	}{
		{"streams", shim.ExecRequest{Args: sh("cat; echo oops >&2; exit 3")}, "in", "in", "oops\n", 3},
		{"inherits", shim.ExecRequest{Args: sh("pwd; echo $OWN; id -u")}, "", "/tmp\n1\n0\n", "", 0},
		{"overrides", shim.ExecRequest{Args: sh("pwd; echo $OWN$NEW; id -u"), Cwd: "/bin", Env: []string{"NEW=2", "PATH=/bin"}, User: &shim.User{UID: 5, GID: 6}}, "", "/bin\n2\n5\n", "", 0},
		{"confined", shim.ExecRequest{Args: sh("grep -E 'Seccomp:|CapEff' /proc/self/status")}, "", "CapEff:\t00000000a80425fb\nSeccomp:\t2\n", "", 0},
		{"in the container's cgroup", shim.ExecRequest{Args: sh("cat /proc/self/cgroup | grep -c ':memory:.*" + r.ID + "'")}, "", "1\n", "", 0},
		{"open files", shim.ExecRequest{Args: sh("ls /proc/self/fd | wc -l")}, "", "4\n", "", 0},
		{"sees init", shim.ExecRequest{Args: sh("cat /proc/1/comm")}, "", "sleep\n", "", 0},
	} {
		out, errOut, res := n.execOut(r.ID, c.req, c.in)
		if out != c.out || errOut != c.err || res.ExitCode != c.code {
			t.Errorf("%s: %q %q %+v", c.name, out, errOut, res)
		}
	}
	for _, c := range []struct {
		id   string
		args []string
		kind error
	}{{r.ID, []string{"nosuch"}, shim.ErrCreate}, {"nosuch", []string{"true"}, shim.ErrNotFound}, {r.ID, nil, shim.ErrInvalid}} {
		if _, err := n.Exec(ctx, c.id, shim.ExecRequest{Args: c.args}, shim.Stdio{}); !errors.Is(err, c.kind) {
			t.Errorf("exec of %q in %s: %v, want %v", c.args, c.id, err, c.kind)
		}
	}
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("sleep 1000 & sleep 1000")}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := x.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait with a deadline: %v", err)
	}
	if err := x.Kill(ctx, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 137 {
		t.Errorf("killed: %+v, %v", res, err)
	}
	eventually(t, "init sleeps alone after the kill", func() bool { // a killed process may still be on its way out
		out, _, _ := n.execOut(r.ID, shim.ExecRequest{Args: sh("ps -o pid,pgid,sid,stat,args | grep '[s]leep' | grep -v ' Z'")}, "")
		return strings.Count(out, "\n") == 1
	})
}

// TestExecGivenUp: a caller whose time ends while the process is being started leaves none behind.
func TestExecGivenUp(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, "sleep", "1000")
	for i := range 12 {
		short, cancel := context.WithTimeout(ctx, time.Duration(2+3*i)*time.Millisecond)
		x, err := n.Exec(short, r.ID, shim.ExecRequest{Args: []string{"sleep", "777"}}, shim.Stdio{})
		cancel()
		if err == nil {
			if err := errors.Join(x.Kill(ctx, syscall.SIGKILL), x.Close(ctx)); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the end of all sleeps", func() bool {
		out, _, _ := n.execOut(r.ID, shim.ExecRequest{Args: sh("ps -o stat,args | grep '[7]77' | grep -v Z")}, "")
		return out == ""
	})
}

func TestExecTerminal(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, "sleep", "1000")
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("tty; stty size; read x; stty size; echo got $x; exit 4"), TTY: true, Width: 100, Height: 30}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	c := newReader(x.Console())
	c.until(t, "/dev/pts/0")
	c.until(t, "30 100")
	if err := x.Resize(90, 20); err != nil {
		t.Fatal(err)
	}
	kill9(n.info().Pid) // a session does not notice
	if _, err := x.Console().WriteString("word\n"); err != nil {
		t.Fatal(err)
	}
	c.until(t, "20 90")
	c.until(t, "got word")
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 4 {
		t.Errorf("%+v, %v", res, err)
	}
	if err := x.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A reader collects what comes from a terminal or pipe.
type reader struct {
	f    *os.File
	seen string
}

func newReader(f *os.File) *reader { return &reader{f: f} }

func (r *reader) until(t *testing.T, want string) {
	t.Helper()
	_ = r.f.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 4096)
	for !strings.Contains(r.seen, want) {
		m, err := r.f.Read(buf)
		if err != nil {
			t.Fatalf("waiting for %q after %q: %v", want, r.seen, err)
		}
		r.seen += string(buf[:m])
	}
	_, r.seen, _ = strings.Cut(r.seen, want)
}

func TestAttach(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, sh("echo early; while read x; do echo out $x; echo err $x >&2; done; echo bye")...)
	r.Stdin, r.StdinOnce = true, true
	n.startRequest(r)
	eventually(t, "the first line", func() bool { return strings.Contains(logText(t, r.LogPath), "early") })
	type client struct {
		in, out, err *os.File
		done         chan error
	}
	attach := func(stdin bool) client {
		inR, inW := pipe(t)
		outR, outW := pipe(t)
		errR, errW := pipe(t)
		io := shim.Stdio{In: inR, Out: outW, Err: errW}
		if !stdin {
			io.In = nil
		}
		done := make(chan error, 1)
		go func() {
			done <- n.Attach(ctx, r.ID, io)
			outW.Close()
			errW.Close()
		}()
		return client{inW, outR, errR, done}
	}
	watcher, typist := attach(false), attach(true)
	out1, out2, err1 := newReader(watcher.out), newReader(typist.out), newReader(typist.err)
	// Attaching has no echo of its own: type until both have seen it.
	seen, typed := make(chan struct{}), make(chan int)
	go func() {
		for n := 1; ; n++ {
			if _, err := typist.in.WriteString("hello\n"); err != nil {
				t.Error(err)
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-seen:
				typed <- n
				return
			}
		}
	}()
	out2.until(t, "out hello\n")
	err1.until(t, "err hello\n")
	out1.until(t, "out hello\n")
	close(seen)
	times := <-typed
	typist.in.Close()
	out1.until(t, "bye\n")
	for _, c := range []client{watcher, typist} {
		if err := <-c.done; err != nil {
			t.Errorf("attach: %v", err)
		}
	}
	if st := n.wait(r.ID); st.ExitCode != 0 {
		t.Errorf("%+v", st)
	}
	if text := logText(t, r.LogPath); strings.Count(text, "out hello") != times || strings.Count(text, "err hello") != times {
		t.Errorf("log %q", text)
	}
}

func TestContainerTerminal(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(func(s *specs.Spec) { s.Process.Terminal = true }, sh("tty; while read x; do stty size; echo got $x; done")...)
	n.startRequest(r)
	inR, inW := pipe(t)
	outR, outW := pipe(t)
	done := make(chan error, 1)
	go func() { done <- n.Attach(ctx, r.ID, shim.Stdio{In: inR, Out: outW}) }()
	if err := n.Resize(ctx, r.ID, 77, 33); err != nil {
		t.Fatal(err)
	}
	out := newReader(outR)
	for range 2 {
		if _, err := inW.WriteString("a\n"); err != nil {
			t.Fatal(err)
		}
	}
	out.until(t, "33 77")
	out.until(t, "got a")
	kill9(n.info().Pid)
	if err := <-done; !errors.Is(err, shim.ErrUnavailable) {
		t.Errorf("attach over a restart: %v", err)
	}
	outR2, outW2 := pipe(t)
	inR2, inW2 := pipe(t)
	go func() { done <- n.Attach(ctx, r.ID, shim.Stdio{In: inR2, Out: outW2}) }()
	if _, err := inW2.WriteString("again\n"); err != nil {
		t.Fatal(err)
	}
	newReader(outR2).until(t, "got again")
	if err := n.Signal(ctx, r.ID, syscall.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := logText(t, r.LogPath); !strings.Contains(text, "/dev/pts/0") || !strings.Contains(text, "got again") {
		t.Errorf("log %q", text)
	}
}

// TestResultOutlivesTheContainer: the command that ended the container is still told how it ended itself.
func TestResultOutlivesTheContainer(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, sh("until test -e /tmp/go; do usleep 10000; done")...)
	x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: sh("touch /tmp/go; exit 7")}, shim.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	n.wait(r.ID)
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if res, err := x.Wait(ctx); err != nil || res.ExitCode != 7 && res.ExitCode != 137 {
		t.Errorf("after the container has gone: %+v, %v", res, err)
	}
	if left, _ := os.ReadDir(filepath.Join(n.cfg.RunDir, "x")); len(left) > 0 {
		t.Errorf("on disk: %v", left)
	}
}
