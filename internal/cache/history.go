package cache

import (
	"sort"
	"sync/atomic"
	"time"
)

const (
	historyStart = 128
	// historyYoung is the age below which the log rather grows (to its bound) than drops an event, as in upstream's cache.
	historyYoung = 75 * time.Second
)

// firstSeq leaves room below for older writes, see prepend.
const firstSeq = 1 << 32

// entry is one write of one object of a resource.
type entry struct {
	revision int64
	object   *Object // nil where deleted
	prev     *Object // nil where created
	at       time.Time
	gone     atomic.Pointer[Object] // prev at this revision, made for the first watcher that needs it
}

func (e *entry) key() string {
	if e.object != nil {
		return e.object.Key
	}
	return e.prev.Key
}

// tombstone is the state before the write, shown with the write's revision; one for all watchers.
func (e *entry) tombstone() *Object {
	if t := e.gone.Load(); t != nil {
		return t
	}
	e.gone.CompareAndSwap(nil, e.prev.withRevision(e.revision))
	return e.gone.Load()
}

// bytes is what the entry alone keeps alive: the replaced value.
func (e *entry) bytes() int {
	if e.prev == nil {
		return 0
	}
	return e.prev.size()
}

// history is the log of one resource: all its writes with revisions above floor, numbered by seq without gaps.
type history struct {
	ring        []*entry // entry seq is at seq % len
	first, next int64    // seqs in the log: first <= seq < next
	floor       int64
	bytes       int
	maxEvents   int
	maxBytes    int
}

func newHistory(floor int64, cfg Config) history {
	return history{
		ring:      make([]*entry, min(historyStart, cfg.HistoryEvents)),
		first:     firstSeq,
		next:      firstSeq,
		floor:     floor,
		maxEvents: cfg.HistoryEvents,
		maxBytes:  cfg.HistoryBytes,
	}
}

func (h *history) at(seq int64) *entry { return h.ring[seq%int64(len(h.ring))] }

func (h *history) len() int { return int(h.next - h.first) }

// add appends e and drops what the bounds no longer allow.
func (h *history) add(e *entry) {
	if h.len() == len(h.ring) {
		if len(h.ring) < h.maxEvents && e.at.Sub(h.at(h.first).at) < historyYoung {
			h.grow()
		} else {
			h.dropFirst()
		}
	}
	h.ring[h.next%int64(len(h.ring))] = e
	h.next++
	h.bytes += e.bytes()
	for h.bytes > h.maxBytes && h.len() > 1 {
		h.dropFirst()
	}
}

func (h *history) dropFirst() {
	i := h.first % int64(len(h.ring))
	h.floor = h.ring[i].revision
	h.bytes -= h.ring[i].bytes()
	h.ring[i] = nil
	h.first++
}

func (h *history) grow() {
	ring := make([]*entry, min(2*len(h.ring), h.maxEvents))
	for seq := h.first; seq < h.next; seq++ {
		ring[seq%int64(len(ring))] = h.at(seq)
	}
	h.ring = ring
}

// after is the seq of the first write above revision, or next.
func (h *history) after(revision int64) int64 {
	return h.first + int64(sort.Search(h.len(), func(i int) bool { return h.at(h.first+int64(i)).revision > revision }))
}

// prepend puts older writes before the log, as many of the newest as fit.
func (h *history) prepend(older []*entry, floor int64) {
	room := h.maxEvents - h.len()
	if len(older) > room {
		floor = older[len(older)-room-1].revision
		older = older[len(older)-room:]
	}
	own := make([]*entry, 0, h.len())
	for seq := h.first; seq < h.next; seq++ {
		own = append(own, h.at(seq))
	}
	// Cursors of watchers point at seqs, so the present entries keep theirs and the older ones go below.
	first := h.first - int64(len(older))
	size := len(h.ring)
	for size < len(older)+len(own) {
		size = min(2*size, h.maxEvents)
	}
	h.ring, h.first, h.floor, h.bytes = make([]*entry, size), first, floor, 0
	for i, e := range append(older, own...) {
		h.ring[(first+int64(i))%int64(size)] = e
		h.bytes += e.bytes()
	}
}
