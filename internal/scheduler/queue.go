package scheduler

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/run/heap"
)

// queue orders the pods that wait for a node.
//
//	add -> active --pop--> (being placed) --bound--> gone
//	         ^                   | no node fits
//	         |                   v
//	         +--wakeAll------ parked   (after a back-off of 1 s doubling to 10 s, by one timer for all)
type queue struct {
	mu     sync.Mutex
	active heap.Heap[*item]
	all    map[string]*item // active and parked, by namespace/name
	parked int              // how many of them are parked
	wake   chan struct{}
	timer  *time.Timer
	rings  time.Time // when timer will fire; zero while it is not armed
	seq    uint64
}

type item struct {
	pod      *corev1.Pod
	seq      uint64 // order of arrival among equals
	tries    int
	parked   bool
	woken    bool      // a change might let it fit; active again once notBefore has passed
	notUntil time.Time // end of the back-off
	index    int
}

func newQueue() *queue {
	return &queue{active: heap.New((*item).before, (*item).place), all: map[string]*item{}, wake: make(chan struct{}, 1)}
}

func podKey(p *corev1.Pod) string { return p.Namespace + "/" + p.Name }

// put adds p, or takes over its newer form. A parked pod whose spec or labels changed is tried again.
func (q *queue) put(p *corev1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.all[podKey(p)]
	if it == nil || it.pod.UID != p.UID {
		if it != nil {
			q.drop(it)
		}
		q.seq++
		it = &item{pod: p, seq: q.seq}
		q.all[podKey(p)] = it
		q.activate(it)
		return
	}
	changed := it.pod.Generation != p.Generation
	it.pod = p
	if it.parked && changed {
		q.unpark(it)
	}
}

func (q *queue) remove(p *corev1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.all[podKey(p)]; it != nil {
		q.drop(it)
	}
}

func (q *queue) drop(it *item) {
	switch {
	case it.parked:
		q.parked--
	case it.index >= 0:
		q.active.Remove(it)
	}
	delete(q.all, podKey(it.pod))
}

// pop blocks for the next pod; nil means that ctx has ended. The pod leaves the queue; park puts it back.
func (q *queue) pop(ctx context.Context) *item {
	for {
		q.mu.Lock()
		if q.active.Len() > 0 {
			it := q.active.Pop()
			delete(q.all, podKey(it.pod))
			q.mu.Unlock()
			return it
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// park keeps an item that fits nowhere, or whose binding failed (retry), until something changes.
func (q *queue) park(it *item, now time.Time, retry bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.all[podKey(it.pod)] != nil { // a newer form arrived meanwhile
		return
	}
	it.notUntil = now.Add(min(time.Second<<min(it.tries, 4), 10*time.Second))
	it.tries++
	it.parked, it.woken = true, false
	q.parked++
	q.all[podKey(it.pod)] = it
	if retry {
		q.unpark(it)
	}
}

// wakeAll tries every parked pod again, each once its back-off has passed.
func (q *queue) wakeAll() { q.wakeThose(func(*corev1.Pod) bool { return true }) }

// wakeThose is wakeAll for the pods that which chooses.
func (q *queue) wakeThose(which func(*corev1.Pod) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.parked == 0 { // which is mostly so, and thousands may be active
		return
	}
	for _, it := range q.all {
		if it.parked && !it.woken && which(it.pod) {
			q.unpark(it)
		}
	}
}

func (q *queue) unpark(it *item) {
	it.woken = true
	if wait := time.Until(it.notUntil); wait > 0 {
		q.arm(wait)
		return
	}
	q.activate(it)
}

func (q *queue) activate(it *item) {
	if it.parked {
		q.parked--
	}
	it.parked, it.woken = false, false
	q.active.Push(it)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// arm sees to it that due runs in d, or sooner where a sooner back-off ends.
func (q *queue) arm(d time.Duration) {
	at := time.Now().Add(d)
	if !q.rings.IsZero() && q.rings.Before(at) {
		return
	}
	q.rings = at
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.due)
		return
	}
	q.timer.Reset(d)
}

// due moves the woken items whose back-off has passed and sets the timer for the next.
func (q *queue) due() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rings = time.Time{}
	next := time.Duration(-1)
	for _, it := range q.all {
		if !it.parked || !it.woken {
			continue
		}
		wait := time.Until(it.notUntil)
		if wait <= 0 {
			q.activate(it)
		} else if next < 0 || wait < next {
			next = wait
		}
	}
	if next >= 0 {
		q.arm(next)
	}
}

func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
}

// before: higher priority first, then first come, first served.
func (it *item) before(other *item) bool {
	if a, b := priority(it.pod), priority(other.pod); a != b {
		return a > b
	}
	return it.seq < other.seq
}

func (it *item) place() *int { return &it.index }

func priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}
