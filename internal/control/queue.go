package control

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"minato.dev/minato/internal/run/heap"
)

// Key names the object that a controller brings in order. Namespace is empty for cluster-wide kinds.
type Key struct{ Namespace, Name string }

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// queue hands out each key to one worker at a time. A key added while it is being worked on comes again afterwards.
// Delayed keys share one timer, so that an idle queue costs nothing, and each waits once: a key that is looked at often, each
// time with a later wish to be looked at again, leaves no trail of them behind.
type queue struct {
	mu      sync.Mutex
	ready   []Key
	queued  map[Key]time.Time // in ready, since when
	working map[Key]time.Time // since when
	dirty   map[Key]bool      // added while working
	fails   map[Key]int
	later   heap.Heap[*delay]
	waits   map[Key]*delay // in later
	timer   *time.Timer
	wake    chan struct{} // holds one token while ready is not empty

	adds, retries  int64               // ever
	waited, worked prometheus.Observer // told of durations in seconds; nil: nobody
}

func newQueue() *queue {
	return &queue{queued: map[Key]time.Time{}, working: map[Key]time.Time{}, dirty: map[Key]bool{}, fails: map[Key]int{},
		later: heap.New((*delay).before, (*delay).place), waits: map[Key]*delay{}, wake: make(chan struct{}, 1)}
}

func (q *queue) add(k Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(k)
}

func (q *queue) put(k Key) {
	_, working := q.working[k]
	_, queued := q.queued[k]
	switch {
	case working:
		q.dirty[k] = true
	case !queued:
		q.adds++
		q.queued[k] = time.Now()
		q.ready = append(q.ready, k)
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// addAfter adds k when d has passed, or sooner where that was wished before.
func (q *queue) addAfter(k Key, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	when := time.Now().Add(d)
	w := q.waits[k]
	switch {
	case w == nil:
		w = &delay{when: when, key: k}
		q.waits[k] = w
		q.later.Push(w)
	case when.Before(w.when):
		w.when = when
		q.later.Fix(w)
	}
	q.arm()
}

// arm sets the one timer to the earliest delayed key.
func (q *queue) arm() {
	if q.later.Len() == 0 {
		return
	}
	d := time.Until(q.later.First().when)
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.due)
		return
	}
	q.timer.Reset(d)
}

func (q *queue) due() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for q.later.Len() > 0 && !q.later.First().when.After(now) {
		k := q.later.Pop().key
		delete(q.waits, k)
		q.put(k)
	}
	q.arm()
}

// get blocks for the next key; ok is false when ctx has ended.
func (q *queue) get(ctx context.Context) (k Key, ok bool) {
	for {
		q.mu.Lock()
		if len(q.ready) > 0 {
			k = q.ready[0]
			q.ready = q.ready[1:]
			now := time.Now()
			observe(q.waited, now.Sub(q.queued[k]))
			delete(q.queued, k)
			q.working[k] = now
			if len(q.ready) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return k, true
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return Key{}, false
		}
	}
}

func observe(o prometheus.Observer, took time.Duration) {
	if o != nil {
		o.Observe(took.Seconds())
	}
}

// done gives k back.
func (q *queue) done(k Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	observe(q.worked, time.Since(q.working[k]))
	delete(q.working, k)
	if q.dirty[k] {
		delete(q.dirty, k)
		q.put(k)
	}
}

// failed counts a failure of k and returns how long to wait: 5 ms doubled each time, at most 5 minutes.
func (q *queue) failed(k Key) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.retries++
	n := q.fails[k]
	q.fails[k] = n + 1
	return min(5*time.Millisecond<<min(n, 20), 5*time.Minute)
}

func (q *queue) succeeded(k Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.fails, k)
}

func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
}

// delay is a key that waits for its time.
type delay struct {
	when time.Time
	key  Key
	at   int // in the heap
}

func (d *delay) before(other *delay) bool { return d.when.Before(other.when) }
func (d *delay) place() *int              { return &d.at }
