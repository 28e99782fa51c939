package apiserver

import (
	"context"
	"time"
)

// Each flush of a watch costs several times what an event in it does: a wake-up, a frame, a record, a system call. Where
// many watch the same kind and much happens, a watcher that has just been told of something hears of the rest in a moment,
// together. The first event after a silence is never held back, and a few watchers are not at all.
const (
	fewWatchers = 8
	breath      = 100 * time.Microsecond // for each watcher of the kind
	longest     = 50 * time.Millisecond
	burst       = 64 // so many events at a time need no company
)

// pace is the least time between two flushes of one of so many watchers.
func pace(watchers int64) time.Duration {
	if watchers <= fewWatchers {
		return 0
	}
	return min(time.Duration(watchers)*breath, longest)
}

// pause waits until a watcher that flushed at that time may flush again. It says whether it had to wait.
func (r *resource) pause(ctx context.Context, flushed time.Time) bool {
	left := pace(r.watchers.Load()) - time.Since(flushed)
	if left <= 0 {
		return false
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return true
}
