package shim_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"minato.dev/minato/internal/shim"
)

func TestLifecycle(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, sh("echo out; echo err >&2; exec sleep 1000")...)
	pid, err := n.Create(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.Create(ctx, r); err != nil || again != pid {
		t.Fatalf("repeated create: pid %d, %v; want pid %d", again, err, pid)
	}
	if st, err := n.State(ctx, r.ID); err != nil || st.Status != shim.Created || st.Pid != pid {
		t.Fatalf("after create: %+v, %v", st, err)
	}
	for range 2 {
		if err := n.Start(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Create(ctx, r); !errors.Is(err, shim.ErrExists) {
		t.Fatalf("create of a running container: %v", err)
	}
	eventually(t, "both lines in the log", func() bool { return len(logLines(t, r.LogPath)) == 2 })
	if st, _ := n.State(ctx, r.ID); st.Status != shim.Running || st.StartedAt.IsZero() {
		t.Fatalf("after start: %+v", st)
	}
	if err := n.Signal(ctx, r.ID, syscall.SIGKILL, false); err != nil {
		t.Fatal(err)
	}
	st := n.wait(r.ID)
	if st.Status != shim.Exited || st.ExitCode != 137 || st.Signal != syscall.SIGKILL || st.Pid != 0 || st.OOMKilled || st.FinishedAt.IsZero() {
		t.Fatalf("after kill: %+v", st)
	}
	for range 2 {
		if err := n.Delete(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.State(ctx, r.ID); !errors.Is(err, shim.ErrNotFound) {
		t.Fatalf("after delete: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct {
		script string
		code   int
		signal syscall.Signal
	}{
		{"exit 0", 0, 0}, {"exit 1", 1, 0}, {"exit 42", 42, 0}, {"exit 255", 255, 0},
		{"nosuchcommand", 127, 0},
		{"sleep 1000 & kill -9 $!; wait $!", 137, 0}, // a child's signal, told by the shell's own exit code
	} {
		st, _ := n.run(nil, sh(c.script)...)
		if st.ExitCode != c.code || st.Signal != c.signal {
			t.Errorf("%q: %+v, want code %d signal %d", c.script, st, c.code, c.signal)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	for _, c := range []struct {
		name string
		make func() shim.CreateRequest
		kind error
		says string
	}{
		{"no such program", func() shim.CreateRequest { return n.request(nil, "/nosuch") }, shim.ErrCreate, "no such file"},
		{"not in PATH", func() shim.CreateRequest { return n.request(nil, "nosuch") }, shim.ErrCreate, "executable file not found in $PATH"},
		{"bad id", func() shim.CreateRequest { r := n.request(nil, "true"); r.ID = "../x"; return r }, shim.ErrInvalid, "id"},
		{"no bundle", func() shim.CreateRequest { return shim.CreateRequest{ID: "x", Bundle: "/nosuch"} }, shim.ErrInvalid, "config.json"},
		{"log directory missing", func() shim.CreateRequest { r := n.request(nil, "true"); r.LogPath = "/nosuch/log"; return r }, shim.ErrCreate, "open log"},
	} {
		_, err := n.Create(ctx, c.make())
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.kind, c.says)
		}
	}
	if list, _, err := n.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("left after refusals: %v, %v", list, err)
	}
	if dirs := cgroupsUnder(n.cgroup); len(dirs) != 0 {
		t.Errorf("cgroups left after refusals: %v", dirs)
	}
}

// TestDeleteBeforeCreate: a caller that has given its Create up deletes the container, and the two may change places on
// their way.
func TestDeleteBeforeCreate(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, "true")
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Create(ctx, r); !errors.Is(err, shim.ErrState) {
		t.Errorf("create after delete: %v", err)
	}
	if dirs := cgroupsUnder(n.cgroup); len(dirs) != 0 {
		t.Errorf("cgroups: %v", dirs)
	}
}

func TestDeleteRunning(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.start(nil, sh("sleep 1000 & sleep 1000 & wait")...)
	st, _ := n.State(ctx, r.ID)
	if err := n.Delete(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(st.Pid)); err == nil {
		t.Fatal("init lives on")
	}
	if err := n.Start(ctx, r.ID); !errors.Is(err, shim.ErrNotFound) {
		t.Fatalf("start of a deleted container: %v", err)
	}
}
