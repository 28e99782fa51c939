package run

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 100}, {1 << 20, 100}, {32 << 20, 100}, {64 << 20, 50}, {100 << 20, 30}, {128 << 20, 25}, {10 << 30, 25}} {
		if got := room(c.live); got != c.want {
			t.Errorf("room(%d MiB) = %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}

// TestHeraldComesBack: every collection is told of, not only the first.
func TestHeraldComesBack(t *testing.T) {
	collected := make(chan struct{}, 1)
	onCollection(t.Context(), collected)
	for range 3 {
		for told := false; !told; {
			runtime.GC()
			select {
			case <-collected:
				told = true
			default:
				runtime.Gosched() // the finalizer runs beside us
			}
			if err := t.Context().Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestKeepMemoryEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- KeepMemory(ctx) }()
	runtime.GC()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
