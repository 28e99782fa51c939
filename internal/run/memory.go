package run

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The room that the collector leaves free: as much as is in use, as Go does, but not more than maxRoom, or a quarter of
// what is in use where that is more. Most of a large heap here are encoded objects, which the collector need not read,
// so collecting more often costs little and saves what doubling would hold. While collections follow each other closely a
// small heap may grow to busyHeap in between: with so little in use, collecting at each doubling is a tenth of what a
// busy server does. When the burst is over that is taken back.
const (
	maxRoom   = 32 << 20
	busyHeap  = 128 << 20
	usualRoom = 100 // percent
	leastRoom = 25
	busyMost  = 400
)

const (
	settle      = 2 * time.Second  // after a collection with no other, a burst is over
	soon        = time.Second      // collections so soon after each other are a burst
	returnEvery = 30 * time.Second // giving memory back takes a collection
	startOver   = 6 * time.Second  // the soonest that everything is behind it that a start runs through
)

// leftOver is how much the start must have left free for a collection to pay.
const leftOver = 4 << 20

const (
	liveBytes = "/gc/heap/live:bytes" // found in use by the last collection
	freeBytes = "/memory/classes/heap/free:bytes"
)

// KeepMemory tunes the collector to what is in use until ctx ends, where the environment does not set GOGC, and gives back
// what bursts have left, the start above all.
func KeepMemory(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return ctx.Err()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(usualRoom))
	collected := make(chan struct{}, 1)
	onCollection(ctx, collected)
	now := usualRoom
	look := time.NewTimer(time.Hour)
	look.Stop()
	var returned, last time.Time
	var program []mapping
	giveBack := func(least uint64) {
		if bytes(freeBytes) > least {
			debug.FreeOSMemory()
		}
		_ = forget(program) // what cannot be given back stays, which costs memory and nothing else
		returned = time.Now()
	}
	var busy bool
	started := time.NewTimer(startOver)
	defer started.Stop()
	for {
		if p := room(bytes(liveBytes), busy); p != now {
			now = p
			debug.SetGCPercent(p)
		}
		select {
		case <-collected:
			before := last
			last = time.Now()
			busy = busy || last.Sub(before) < soon
			if look.Reset(settle); busy {
				look.Reset(2 * settle)
			}
		case <-look.C:
			busy = false
			if program == nil {
				continue // still starting
			}
			if early := returnEvery - time.Since(returned); early > 0 {
				look.Reset(early)
				continue
			}
			giveBack(excess(bytes(liveBytes)))
		case <-started.C:
			if time.Since(last) < settle { // on a slow machine, or with much to load
				started.Reset(settle)
				continue
			}
			program = cutProgram()
			giveBack(leftOver)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// excess is how much may be free of a heap of which so much is in use; with more, the kernel shall have it back when a burst
// is over. The runtime gives it back by itself too, over minutes.
func excess(live uint64) uint64 { return maxRoom/4 + live/2 }

// room is the collector's percentage for a heap of which so many bytes are in use, in steps: changing it stops the program
// for a moment.
func room(live uint64, busy bool) int {
	if live == 0 {
		return usualRoom
	}
	p := max(int(min(uint64(usualRoom), maxRoom*100/live))/5*5, leastRoom)
	if busy && live < busyHeap {
		p = max(p, int(min(busyMost, (busyHeap-live)*100/live))/50*50)
	}
	return p
}

// bytes reads one metric of the runtime; 0 where a later Go has dropped it.
func bytes(metric string) uint64 {
	s := []metrics.Sample{{Name: metric}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

// herald is unreachable, so that each collection finds it and runs its finalizer.
type herald struct{ collected chan<- struct{} }

func onCollection(ctx context.Context, collected chan<- struct{}) {
	var again func(*herald)
	again = func(h *herald) {
		select {
		case h.collected <- struct{}{}:
		default:
		}
		if ctx.Err() == nil {
			runtime.SetFinalizer(h, again)
		}
	}
	runtime.SetFinalizer(&herald{collected}, again)
}
