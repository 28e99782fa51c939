package cache

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Span is a stretch of bytes: from the first to before the second.
type Span struct{ From, To int32 }

// value is an object's stored bytes. Many that nobody writes are packed by what others of their kind look like (see
// packer): pods take a third of their size then, and reading one costs a microsecond more. New ones stay plain for a while,
// because every watcher reads them now.
type value struct{ held atomic.Pointer[Rendering] }

func (v *value) set(b []byte) { v.held.Store(&Rendering{data: b, size: len(b)}) }

// Value returns the stored bytes, which must not be changed.
func (o *Object) Value() []byte { return o.value.held.Load().bytes() }

// AppendValue appends the stored bytes to b, which spares a copy where they are packed.
func (o *Object) AppendValue(b []byte) []byte { return o.value.held.Load().AppendTo(b) }

// ReadValue calls read with the stored bytes, which are read's until it returns.
func (o *Object) ReadValue(read func([]byte) error) error {
	v := o.value.held.Load()
	if len(v.data) == v.size {
		return read(v.data)
	}
	scratch := packs.Get().(*[]byte)
	defer packs.Put(scratch)
	*scratch = v.AppendTo((*scratch)[:0])
	return read(*scratch)
}

// size is the length of the stored bytes.
func (o *Object) size() int { return o.value.held.Load().size }

const (
	coldBeyond = 2 << 20     // bytes of plain values of a resource from which they are packed
	coldAfter  = time.Minute // how long a new value stays plain at least
)

// cold packs the values of a resource.
type cold struct {
	mu     sync.Mutex
	by     packer
	loaded int // bytes of values that were loaded and stay plain
}

// load packs a value that has just been read from the store with many others.
func (c *cold) load(o *Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded < coldBeyond {
		c.loaded += o.size()
		return
	}
	c.pack(o)
}

func (c *cold) pack(o *Object) {
	v := o.value.held.Load()
	if len(v.data) != v.size || v.size < packFrom {
		return
	}
	r := pack(v.data, c.by.dictionary(v.data))
	if len(r.data) == len(v.data) {
		return
	}
	r.data = slices.Clip(r.data)
	o.value.held.Store(&r)
}

// packCold packs what has not been written since revision.
func (c *cold) packCold(s *state, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.objects.Ascend(func(o *Object) bool {
		if o.Revision <= revision {
			c.pack(o)
		}
		return true
	})
}

// wrote counts a new value, under the cache's lock. When there are enough of them, they are packed a while later.
func (c *Cache) wrote(r *resource, o *Object) {
	if r.plain += o.size(); r.plain < coldBeyond || r.packing != nil || c.closed {
		return
	}
	r.plain = 0
	revision := o.Revision
	r.packing = time.AfterFunc(coldAfter, func() { c.packLater(r, revision) })
}

// packLater packs what was written until revision and is still there.
func (c *Cache) packLater(r *resource, revision int64) {
	c.mu.Lock()
	r.packing = nil
	s := r.clone()
	c.mu.Unlock()
	r.cold.packCold(s, revision)
}
