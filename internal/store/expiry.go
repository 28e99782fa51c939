package store

import (
	"container/heap"
	"time"
)

// expiry is a heap of deadlines with one timer, set for the first of them. Its owner's lock guards it.
type expiry struct {
	heap  deadlines
	timer *time.Timer
}

type deadline struct {
	key   string
	lease int64
	at    time.Time
}

func (x *expiry) add(key string, lease int64, at time.Time, fire func()) {
	heap.Push(&x.heap, deadline{key, lease, at})
	x.arm(fire)
}

// due takes out what is to end now and arms the timer for the rest.
func (x *expiry) due(now time.Time, fire func()) []deadline {
	var out []deadline
	for len(x.heap) > 0 && !x.heap[0].at.After(now) {
		out = append(out, heap.Pop(&x.heap).(deadline))
	}
	x.arm(fire)
	return out
}

func (x *expiry) arm(fire func()) {
	if len(x.heap) == 0 {
		return
	}
	in := time.Until(x.heap[0].at)
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

type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}
