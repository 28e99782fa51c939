package shim_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim"
)

// hook writes what it is told, and what the process is by then, to a file.
func hook(path, more string) specs.Hook {
	return specs.Hook{Path: "/bin/busybox", Env: []string{"PATH=/bin:/usr/bin", "MARK=here"}, Args: []string{"sh", "-c",
		fmt.Sprintf(`read state; { echo $MARK $state; pid=${state#*pid\":}; readlink /proc/${pid%%%%,*}/exe; } >>%s 2>&1; %s`, path, more)}}
}

// TestHooks: hooks run after the program has begun and after the container has gone, once each.
func TestHooks(t *testing.T) {
	n := newNode(t)
	ctx := ctxFor(t)
	for way := range 2 { // two calls, and one
		begun, gone := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "gone")
		r := n.start(func(s *specs.Spec) {
			s.Annotations = map[string]string{"a": "b"}
			s.Hooks = &specs.Hooks{Poststart: []specs.Hook{hook(begun, "")}, Poststop: []specs.Hook{hook(gone, "exit 1"), hook(gone, "")}}
		}, "sleep", "1000")
		text, _ := os.ReadFile(begun)
		if got := string(text); strings.Count(got, "here {") != 1 || !strings.HasSuffix(got, "\n/bin/busybox\n") || !strings.Contains(got, `"status":"running"`) ||
			!strings.Contains(got, `"a":"b"`) || !strings.Contains(got, r.Bundle) {
			t.Errorf("way %d, at the start: %q", way, got)
		}
		kill9(n.info().Pid)
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("way %d: it is not gone", way)
		}
		if err := n.Delete(ctx, r.ID); err != nil {
			t.Error(err)
		}
		text, _ = os.ReadFile(gone)
		if got := string(text); strings.Count(got, `"status":"stopped"`) != 2 {
			t.Errorf("way %d, at the end: %q", way, got)
		}
		if text, _ = os.ReadFile(begun); strings.Count(string(text), "here {") != 1 {
			t.Errorf("way %d, run again: %q", way, text)
		}
	}
}

// TestFailingHook: a hook that fails after the start ends the container, whose start has failed.
func TestFailingHook(t *testing.T) {
	n := newNode(t)
	ctx := ctxFor(t)
	never := filepath.Join(t.TempDir(), "never")
	edit := func(s *specs.Spec) {
		limit := 1
		s.Hooks = &specs.Hooks{Poststart: []specs.Hook{hook("/dev/null", "echo words >&2; exit 3"), hook(never, "")},
			CreateRuntime: []specs.Hook{{Path: "/bin/true", Timeout: &limit}}}
	}
	r := n.request(edit, "sleep", "1000")
	if _, err := n.Create(ctx, r); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx, r.ID); !errors.Is(err, shim.ErrCreate) || !strings.Contains(err.Error(), "poststart hook #0") || !strings.Contains(err.Error(), "words") {
		t.Errorf("start: %v", err)
	}
	if st := n.wait(r.ID); st.ExitCode != 137 || !st.StartedAt.IsZero() {
		t.Errorf("%+v", st)
	}
	if _, err := os.Stat(never); err == nil {
		t.Error("the next hook was run")
	}
	if _, err := n.Run(ctx, n.request(edit, "sleep", "1000")); !errors.Is(err, shim.ErrCreate) {
		t.Errorf("run: %v", err)
	}
	if list, _, err := n.List(ctx); err != nil || len(list) != 1 {
		t.Errorf("left: %+v, %v", list, err)
	}
}
