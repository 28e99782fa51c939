package run_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"minato.dev/minato/internal/run"
)

var errBoom = errors.New("boom")

func TestScopeEndsWithItsGoroutines(t *testing.T) {
	ended := make(chan struct{})
	err := run.With(t.Context(), func(s *run.Scope) error {
		s.Go("waits", func(ctx context.Context) error {
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		})
		s.Go("fails", func(context.Context) error { return errBoom })
		return nil
	})
	if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "fails: ") {
		t.Errorf("error %v, want that of the goroutine, with its name", err)
	}
	select {
	case <-ended:
	default:
		t.Error("With returned before its goroutine had ended")
	}
}

func TestScopeCases(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		body func(*run.Scope) error
		want string // part of the error; "" for none
	}{
		"nothing":    {t.Context(), func(*run.Scope) error { return nil }, ""},
		"body fails": {t.Context(), func(*run.Scope) error { return errBoom }, "boom"},
		"panic":      {t.Context(), func(s *run.Scope) error { s.Go("p", func(context.Context) error { panic("oops") }); return nil }, "p: panic: oops"},
		"stop is no error": {t.Context(), func(s *run.Scope) error {
			s.Go("w", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			s.Stop()
			return nil
		}, ""},
		"parent's end is none": {cancelled, func(s *run.Scope) error {
			s.Go("w", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			return nil
		}, ""},
		"failure while ending": {cancelled, func(s *run.Scope) error { s.Go("w", func(context.Context) error { return errBoom }); return nil }, "w: boom"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run.With(c.ctx, c.body)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// journal notes what happens, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(s string) { j.mu.Lock(); j.lines = append(j.lines, s); j.mu.Unlock() }

func (j *journal) stage(name string) run.Stage {
	return run.Stage{Name: name, Run: func(ctx context.Context, ready func()) error {
		j.note("start " + name)
		ready()
		<-ctx.Done()
		j.note("stop " + name)
		return nil
	}}
}

func TestStagesStartInOrderAndStopInReverse(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var j journal
	err := run.Stages(ctx, []run.Stage{j.stage("a"), j.stage("b"), j.stage("c")}, func(name string) {
		j.note("ready " + name)
		if name == "c" {
			cancel()
		}
	})
	want := []string{"start a", "ready a", "start b", "ready b", "start c", "ready c", "stop c", "stop b", "stop a"}
	if err != nil || !slices.Equal(j.lines, want) {
		t.Errorf("%v, %v; want %v", err, j.lines, want)
	}
}

func TestStageThatFailsStopsTheOthers(t *testing.T) {
	for name, bad := range map[string]struct {
		stage run.Stage
		want  string
	}{
		"before ready":          {run.Stage{Name: "bad", Run: func(context.Context, func()) error { return errBoom }}, "bad: boom"},
		"after ready":           {run.Stage{Name: "bad", Run: func(_ context.Context, ready func()) error { ready(); return errBoom }}, "bad: boom"},
		"returns without ready": {run.Stage{Name: "bad", Run: func(context.Context, func()) error { return nil }}, "bad: ended before it was ready"},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			err := run.Stages(t.Context(), []run.Stage{j.stage("a"), bad.stage}, nil)
			if err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("error %v, want %q", err, bad.want)
			}
			if !slices.Contains(j.lines, "stop a") {
				t.Error("stage a was not stopped")
			}
		})
	}
}
