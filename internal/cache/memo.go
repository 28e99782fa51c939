package cache

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"
)

const (
	memoSweep    = time.Minute // a memo that nobody used for one to two of these is dropped
	memoTries    = 8           // how far one insertion moves the clock's hand when the budget is used up
	memoOverhead = 128
	packBeyond   = 1 << 20 // bytes of memos from which new ones are packed: a few stay quick to read, many stay small
	packFrom     = 512     // shorter ones gain nothing
)

// A memo is one rendered encoding of one object.
type memo struct {
	kind int
	Rendering
	owner *Object
	at    int         // in the ledger's ring
	used  atomic.Bool // since the hand or the sweep last passed
}

// Rendering is an encoding of an object. It is immutable; the memory of a remembered one is packed where there are many.
type Rendering struct {
	data []byte
	size int
	dict *s2.Dict // by which data is packed, where it is shorter than size; may be nil
}

// Len is the length of the encoding.
func (r Rendering) Len() int { return r.size }

// AppendTo appends the encoding to b.
func (r Rendering) AppendTo(b []byte) []byte {
	if len(r.data) == r.size {
		return append(b, r.data...)
	}
	n := len(b)
	b = slices.Grow(b, r.size)[:n+r.size]
	if err := r.unpack(b[n:]); err != nil {
		panic(fmt.Sprintf("cache: unpack a rendering: %v", err)) // we packed it
	}
	return b
}

// bytes returns the encoding, shared where it is not packed.
func (r Rendering) bytes() []byte {
	if len(r.data) == r.size {
		return r.data
	}
	return r.AppendTo(nil)
}

// Memo returns the encoding of the object that kind stands for, made by render at the first call and remembered while the
// cache's budget for that lasts. The bytes are shared. Kinds are small numbers that the caller chooses.
func (o *Object) Memo(kind int, render func() ([]byte, error)) ([]byte, error) {
	r, err := o.Rendered(kind, nil, render)
	return r.bytes(), err
}

// Rendered is Memo for those who append the encoding to a buffer of theirs, which spares an unpacked copy. What is
// remembered is made again where valid, which may be nil, refuses it.
func (o *Object) Rendered(kind int, valid func([]byte) bool, render func() ([]byte, error)) (Rendering, error) {
	m := o.memo(kind)
	if m != nil && (valid == nil || valid(m.bytes())) {
		if !m.used.Load() {
			m.used.Store(true)
		}
		return m.Rendering, nil
	}
	data, err := render()
	r := Rendering{data: data, size: len(data)}
	if err == nil && o.ledger != nil {
		o.ledger.add(o, kind, r, m)
	}
	return r, err
}

// AppendRendered appends the encoding that kind stands for to b: the remembered one, or what render appends. That is packed,
// where many are, as it stands in b: a list that renders many objects leaves no copies behind.
func (o *Object) AppendRendered(b []byte, kind int, render func([]byte) ([]byte, error)) ([]byte, error) {
	if m := o.memo(kind); m != nil {
		if !m.used.Load() {
			m.used.Store(true)
		}
		return m.AppendTo(b), nil
	}
	out, err := render(b)
	if err != nil {
		return b, err
	}
	if o.ledger != nil {
		o.ledger.addCopy(o, kind, out[len(b):])
	}
	return out, nil
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

	many atomic.Bool // bytes is beyond packBeyond

	mu    sync.Mutex
	kinds map[int]*packer
	bytes int
	ring  []*memo
	hand  int
	timer *time.Timer // runs while there are memos
	armed bool
}

func newLedger(budget int) *ledger { return &ledger{budget: budget, kinds: map[int]*packer{}} }

func (m *memo) cost() int { return len(m.data) + memoOverhead }

// add remembers r in the place of old, which may be nil.
func (l *ledger) add(o *Object, kind int, r Rendering, old *memo) {
	l.put(o, kind, l.packed(kind, r), old)
}

// addCopy remembers a copy of an encoding.
func (l *ledger) addCopy(o *Object, kind int, data []byte) {
	r := l.packed(kind, Rendering{data: data, size: len(data)})
	if len(r.data) == r.size {
		r.data = slices.Clone(data)
	}
	l.put(o, kind, r, nil)
}

// packed is r in less memory, where there are many.
func (l *ledger) packed(kind int, r Rendering) Rendering {
	if l.many.Load() && r.size >= packFrom {
		return pack(r.data, l.dictionary(kind, r.data))
	}
	return r
}

func (l *ledger) put(o *Object, kind int, r Rendering, old *memo) {
	m := &memo{kind: kind, Rendering: r, owner: o}
	l.mu.Lock()
	defer l.mu.Unlock()
	if has := o.memo(kind); has != nil {
		if has != old {
			return
		}
		l.drop(old.at)
	}
	if !l.room(m.cost()) {
		return
	}
	m.at = len(l.ring)
	l.ring = append(l.ring, m)
	l.bytes += m.cost()
	l.many.Store(l.bytes > packBeyond)
	setMemos(o, func(list []*memo) []*memo { return append(list, m) })
	l.arm()
}

// dictionary returns by what a rendering of this kind is to be packed.
func (l *ledger) dictionary(kind int, data []byte) *s2.Dict {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.kinds[kind]
	if p == nil {
		p = &packer{}
		l.kinds[kind] = p
	}
	return p.dictionary(data)
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
	if i < last {
		l.ring[i].at = i
	}
	l.ring = l.ring[:last]
	l.bytes -= m.cost()
	l.many.Store(l.bytes > packBeyond)
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
	clear(l.kinds)
}

func (l *ledger) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}
