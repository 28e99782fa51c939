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
		busy int
	}{{0, 100, 100}, {1 << 20, 100, 400}, {25 << 20, 100, 400}, {32 << 20, 100, 300}, {64 << 20, 50, 100}, {100 << 20, 30, 30}, {128 << 20, 25, 25}, {10 << 30, 25, 25}} {
		if got, busy := room(c.live, false), room(c.live, true); got != c.want || busy != c.busy {
			t.Errorf("room(%d MiB) = %d %%, busy %d %%, want %d and %d", c.live>>20, got, busy, c.want, c.busy)
		}
	}
}

func TestExcess(t *testing.T) {
	for live, want := range map[uint64]uint64{0: 8, 20: 18, 200: 108} {
		if got := excess(live << 20); got != want<<20 {
			t.Errorf("excess(%d MiB) = %d", live, got)
		}
	}
	runtime.GC()
	if bytes(liveBytes) == 0 {
		t.Error("the runtime has no such metric any more")
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
