package store

import (
	"time"

	"minato.dev/minato/internal/run/heap"
)

// expiry is a heap of deadlines with one timer, set for the first of them. Its owner's lock guards it.
type expiry struct {
	heap  heap.Heap[deadline]
	timer *time.Timer
}

func newExpiry() expiry {
	return expiry{heap: heap.New(func(a, b deadline) bool { return a.at.Before(b.at) }, nil)}
}

type deadline struct {
	key   string
	lease int64
	at    time.Time
}

func (x *expiry) add(key string, lease int64, at time.Time, fire func()) {
	x.heap.Push(deadline{key, lease, at})
	x.arm(fire)
}

// due takes out what is to end now and arms the timer for the rest.
func (x *expiry) due(now time.Time, fire func()) []deadline {
	var out []deadline
	for x.heap.Len() > 0 && !x.heap.First().at.After(now) {
		out = append(out, x.heap.Pop())
	}
	x.arm(fire)
	return out
}

func (x *expiry) arm(fire func()) {
	if x.heap.Len() == 0 {
		return
	}
	in := time.Until(x.heap.First().at)
	if x.timer == nil {
		x.timer = time.AfterFunc(in, fire)
		return
	}
	x.timer.Reset(in)
}

func (x *expiry) stop() {
	if x.timer != nil {
		x.timer.Stop()
	}
}
