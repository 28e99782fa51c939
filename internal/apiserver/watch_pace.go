package apiserver

import (
	"context"
	"time"

	"minato.dev/minato/internal/cache"
)

// Each flush of a watch costs many times what an event in it does: wake-ups, a frame, a record, a system call, and the
// client's word that there is room again. Where many watch all of a kind and much happens, a watcher that has just been told
// of something hears of the rest in a moment, together. The first event after a silence is never held back; a few watchers
// are not at all, nor are those of chosen objects, such as a node's pods.
const (
	fewWatchers = 8
	breath      = 400 * time.Microsecond // for each watcher of the kind
	longest     = 240 * time.Millisecond
)

// pace is the least time between two flushes of one of so many watchers.
func pace(watchers int64) time.Duration {
	if watchers <= fewWatchers {
		return 0
	}
	return min(time.Duration(watchers)*breath, longest)
}

// pacer keeps one watcher's pace.
type pacer struct {
	res     *resource
	broad   bool
	flushed time.Time
	busy    bool // events came faster than the pace: nobody need wake the watcher before its next turn
	timer   *time.Timer
}

func (r *resource) newPacer(w *cache.Watcher) *pacer {
	p := &pacer{res: r, broad: w.Broad()}
	if p.broad {
		r.watchers.Add(1)
	}
	return p
}

// pause waits until a watcher that has flushed may flush again. It says whether it had to wait.
func (p *pacer) pause(ctx context.Context) bool {
	if !p.broad {
		return false
	}
	left := pace(p.res.watchers.Load()) - time.Since(p.flushed)
	if left <= 0 {
		return false
	}
	if p.timer == nil {
		p.timer = time.NewTimer(left)
	} else {
		p.timer.Reset(left)
	}
	select {
	case <-p.timer.C:
	case <-ctx.Done():
	}
	return true
}

// end says that the watcher has gone.
func (p *pacer) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.broad && p.res.watchers.Add(-1) <= fewWatchers {
		p.res.frames.forget()
	}
}
