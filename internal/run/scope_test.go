package run_test

import (
	"context"
	"sync/atomic"
	"testing"

	"minato.dev/minato/internal/run"
)

// A watcher may be told something while its owner leaves: what it starts then must not outlive the owner.
func TestGoAfterTheEnd(t *testing.T) {
	for range 200 {
		s := run.NewScope(t.Context())
		var late atomic.Bool
		s.Go("last", func(context.Context) error { return nil })
		other := make(chan struct{})
		go func() {
			defer close(other)
			s.Go("late", func(context.Context) error { late.Store(true); return nil })
		}()
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		ran := late.Load()
		<-other
		s.Go("later", func(context.Context) error { t.Error("ran after the end"); return nil })
		if err := s.Wait(); err != nil || late.Load() != ran {
			t.Fatalf("something ran after Wait: %v", err)
		}
	}
}
