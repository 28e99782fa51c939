package shim_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// TestRun: one call makes a container and starts it, and may be repeated.
func TestRun(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(nil, sh("echo begun; exec sleep 1000")...)
	pid, err := n.Run(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := n.State(ctx, r.ID); err != nil || st.Status != shim.Running || st.Pid != pid || st.StartedAt.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	n.runs(r.ID, "sleep")
	for range 2 {
		if again, err := n.Run(ctx, r); err != nil || again != pid {
			t.Errorf("repeated: pid %d, %v; want %d", again, err, pid)
		}
		if err := n.Start(ctx, r.ID); err != nil {
			t.Errorf("started once more: %v", err)
		}
		kill9(n.info().Pid) // its successor knows it all
	}
	short := n.request(nil, "true")
	if _, err := n.Run(ctx, short); err != nil {
		t.Fatal(err)
	}
	if st := n.wait(short.ID); st.ExitCode != 0 || st.Reason != "" || st.StartedAt.IsZero() {
		t.Errorf("%+v", st)
	}
	if again, err := n.Run(ctx, short); err != nil || again != 0 {
		t.Errorf("repeated after its end: pid %d, %v", again, err)
	}
}

// TestRunTells: of a process that ends at once, its creation and start are told before its end.
func TestRunTells(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	for range 10 {
		_, seq, err := n.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := n.request(nil, "true")
		if _, err := n.Run(ctx, r); err != nil {
			t.Fatal(err)
		}
		var got []shim.EventKind
		enough := errors.New("enough")
		err = n.Events(ctx, seq, func(e shim.Event) error {
			if e.Kind != shim.EventSync {
				got = append(got, e.Kind)
			}
			if e.Kind == shim.EventExited {
				return enough
			}
			return nil
		})
		if want := []shim.EventKind{shim.EventCreated, shim.EventStarted, shim.EventExited}; !errors.Is(err, enough) || !slices.Equal(got, want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	}
}

// TestRunRefuses: what cannot be made leaves nothing; a file that is no program ends as one that was started in two steps.
func TestRunRefuses(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	if _, err := n.Run(ctx, n.request(nil, "nosuch")); !errors.Is(err, shim.ErrCreate) || !strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("no such program: %v", err)
	}
	if list, _, err := n.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("left after a refusal: %v, %v", list, err)
	}
	if dirs := cgroupsUnder(n.cgroup); len(dirs) != 0 {
		t.Errorf("cgroups left after a refusal: %v", dirs)
	}
	if err := os.WriteFile(filepath.Join(n.rootfs, "bin", "junk"), []byte("\x00junk"), 0o755); err != nil {
		t.Fatal(err)
	}
	st, log := n.run(nil, "/bin/junk")
	again, said := n.run(nil, "/bin/junk")
	if st.ExitCode != 255 || again.ExitCode != 255 || log != said || !strings.Contains(log, "exec format error") {
		t.Errorf("%+v %q, %+v %q", st, log, again, said)
	}
}

// TestRunTheLongWay: what libcontainer makes is started by the same call.
func TestRunTheLongWay(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	r := n.request(func(s *specs.Spec) { s.Hostname = "own" }, sh("hostname; exit 4")...)
	if _, err := n.Run(ctx, r); err != nil {
		t.Fatal(err)
	}
	if st := n.wait(r.ID); st.ExitCode != 4 || logText(t, r.LogPath) != "own\n" {
		t.Errorf("%+v %q", st, logText(t, r.LogPath))
	}
}
