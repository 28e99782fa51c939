package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	memoSweep    = time.Minute // a memo that nobody used for one to two of these is dropped
	memoTries    = 8           // how far one insertion moves the clock's hand when the budget is used up
	memoOverhead = 96
)

// A memo is one rendered encoding of one object.
type memo struct {
	kind  int
	data  []byte
	owner *Object
	used  atomic.Bool // since the hand or the sweep last passed
}

// Memo returns the encoding of the object that kind stands for, made by render at the first call and remembered while the
// cache's budget for that lasts. The bytes are shared. Kinds are small numbers that the caller chooses.
func (o *Object) Memo(kind int, render func() ([]byte, error)) ([]byte, error) {
	if m := o.memo(kind); m != nil {
		if !m.used.Load() {
			m.used.Store(true)
		}
		return m.data, nil
	}
	data, err := render()
	if err == nil && o.ledger != nil {
		o.ledger.add(&memo{kind: kind, data: data, owner: o})
	}
	return data, err
}

func (o *Object) memo(kind int) *memo {
	if list := o.memos.Load(); list != nil {
		for _, m := range *list {
			if m.kind == kind {
				return m
			}
		}
	}
	return nil
}

// ledger keeps all memos of a cache within a budget, by a clock: a full one takes a new memo only when the hand finds old
// ones unused since its last pass. So a list that is larger than the budget keeps some of its memos from one time to the next,
// instead of driving out each just before its use.
type ledger struct {
	budget int

	mu    sync.Mutex
	bytes int
	ring  []*memo
	hand  int
	timer *time.Timer // runs while there are memos
	armed bool
}

func newLedger(budget int) *ledger { return &ledger{budget: budget} }

func (m *memo) cost() int { return len(m.data) + memoOverhead }

func (l *ledger) add(m *memo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.owner.memo(m.kind) != nil || !l.room(m.cost()) {
		return
	}
	l.ring = append(l.ring, m)
	l.bytes += m.cost()
	setMemos(m.owner, func(list []*memo) []*memo { return append(list, m) })
	l.arm()
}

// room makes place for n bytes where unused memos allow it.
func (l *ledger) room(n int) bool {
	for tries := 0; l.bytes+n > l.budget; tries++ {
		if tries == memoTries || len(l.ring) == 0 {
			return false
		}
		if l.hand >= len(l.ring) {
			l.hand = 0
		}
		if l.ring[l.hand].used.Swap(false) {
			l.hand++
			continue
		}
		l.drop(l.hand)
	}
	return true
}

// drop forgets the memo at i; the ring's last takes its place.
func (l *ledger) drop(i int) {
	m, last := l.ring[i], len(l.ring)-1
	l.ring[i], l.ring[last] = l.ring[last], nil
	l.ring = l.ring[:last]
	l.bytes -= m.cost()
	setMemos(m.owner, func(list []*memo) []*memo {
		kept := list[:0]
		for _, other := range list {
			if other != m {
				kept = append(kept, other)
			}
		}
		return kept
	})
}

// setMemos replaces an object's list; only the ledger does, under its lock, so that readers need none.
func setMemos(o *Object, change func([]*memo) []*memo) {
	var list []*memo
	if old := o.memos.Load(); old != nil {
		list = append(list, *old...)
	}
	if list = change(list); len(list) == 0 {
		o.memos.Store(nil)
		return
	}
	o.memos.Store(&list)
}

func (l *ledger) arm() {
	switch {
	case l.armed:
	case l.timer == nil:
		l.timer = time.AfterFunc(memoSweep, l.sweep)
	default:
		l.timer.Reset(memoSweep)
	}
	l.armed = true
}

// sweep drops what was not used since the last sweep, so that an idle cluster holds no encodings.
func (l *ledger) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.ring) - 1; i >= 0; i-- {
		if !l.ring[i].used.Swap(false) {
			l.drop(i)
		}
	}
	if l.armed = false; len(l.ring) > 0 {
		l.arm()
		return
	}
	l.ring = nil
}

func (l *ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}
