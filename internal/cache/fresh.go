package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"minato.dev/minato/internal/store"
)

// patience is how long Fresh waits for the watch to deliver before it asks the store for progress: only writes outside of
// the watch's prefix make that necessary.
const patience = 50 * time.Millisecond

// waits are those who wait for a revision.
type waits struct {
	n      atomic.Int32
	mu     sync.Mutex
	list   []wait
	closed bool
}

type wait struct {
	revision int64
	done     chan struct{}
}

// reached tells that the cache has seen revision.
func (w *waits) reached(revision int64) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.list[:0]
	for _, x := range w.list {
		if x.revision <= revision || w.closed {
			close(x.done)
		} else {
			left = append(left, x)
		}
	}
	clear(w.list[len(left):])
	w.list = left
	w.n.Store(int32(len(left)))
}

func (w *waits) add(revision int64) wait {
	x := wait{revision, make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, x)
	w.n.Store(int32(len(w.list)))
	return x
}

func (w *waits) remove(x wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, y := range w.list {
		if y.done == x.done {
			w.list[i] = w.list[len(w.list)-1]
			w.list = w.list[:len(w.list)-1]
			break
		}
	}
	w.n.Store(int32(len(w.list)))
}

// Revision is the revision up to which the cache has seen everything.
func (c *Cache) Revision() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revision
}

// seen is the cache's revision, and ErrClosed where it will not grow any more.
func (c *Cache) seen() (int64, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return c.revision, ErrClosed
	}
	return c.revision, nil
}

// WaitFor returns when the cache has seen revision. Errors: the context's, ErrClosed.
func (c *Cache) WaitFor(ctx context.Context, revision int64) error {
	return c.waitFor(ctx, revision, 0, nil)
}

// waitFor calls hurry each time that the patience has run out; 0 means never.
func (c *Cache) waitFor(ctx context.Context, revision int64, patience time.Duration, hurry func() error) error {
	if now, err := c.seen(); now >= revision || err != nil {
		return errUnless(now >= revision, err)
	}
	x := c.waits.add(revision)
	defer c.waits.remove(x)
	var late <-chan time.Time
	if patience > 0 {
		t := time.NewTicker(patience)
		defer t.Stop()
		late = t.C
	}
	for {
		// Looked at again after joining: it may have come in between.
		if now, err := c.seen(); now >= revision || err != nil {
			return errUnless(now >= revision, err)
		}
		select {
		case <-x.done:
			continue
		case <-late:
			if err := hurry(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func errUnless(fine bool, err error) error {
	if fine {
		return nil
	}
	return err
}

// Fresh returns when the cache has seen every write that was acknowledged before the call, and returns the revision
// then reached: a read after it is consistent. Errors: the context's, the store's, ErrClosed.
func (c *Cache) Fresh(ctx context.Context) (int64, error) {
	target := c.written.Load()
	if !c.cfg.SoleWriter {
		now, err := c.store.Revision(ctx)
		if err != nil {
			return 0, err
		}
		target = max(target, now)
	}
	if err := c.waitFor(ctx, target, patience, func() error { return c.store.Progress(ctx) }); err != nil {
		return 0, err
	}
	return max(target, c.Revision()), nil
}

// Wrote tells the cache that the write with this revision has been acknowledged, or that somebody has seen the state of it.
func (c *Cache) Wrote(revision int64) {
	for {
		old := c.written.Load()
		if old >= revision || c.written.CompareAndSwap(old, revision) {
			return
		}
	}
}

// Store is the store with everything told to the cache that its callers learn from it: write through it and read your writes by
// Fresh. A refusal counts too: who was told that somebody else wrote must not read the state before that.
func (c *Cache) Store() store.Store { return telling{c.store, c} }

type telling struct {
	store.Store
	cache *Cache
}

func (t telling) tell(revision int64, err error) (int64, error) {
	t.cache.Wrote(revision)
	return revision, err
}

func (t telling) Get(ctx context.Context, key string) (kv store.KV, found bool, revision int64, err error) {
	kv, found, revision, err = t.Store.Get(ctx, key)
	t.cache.Wrote(revision)
	return kv, found, revision, err
}

func (t telling) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (int64, error) {
	return t.tell(t.Store.Create(ctx, key, value, ttl))
}

func (t telling) Update(ctx context.Context, key string, value []byte, expect int64, ttl time.Duration) (int64, error) {
	return t.tell(t.Store.Update(ctx, key, value, expect, ttl))
}

func (t telling) Delete(ctx context.Context, key string, expect int64) (int64, error) {
	return t.tell(t.Store.Delete(ctx, key, expect))
}
