package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

const (
	pageSize = 1000
	// A broken watch is taken up again after retryFirst, then twice as long each time up to retryMax.
	retryFirst, retryMax = 50 * time.Millisecond, 5 * time.Second
)

// Run loads all resources, calls ready once, and follows the store until ctx ends. It returns an error where the store
// is closed or cannot be read at the first load; later breaks of the watch are taken up again.
func (c *Cache) Run(ctx context.Context, ready func()) error {
	defer c.close()
	if err := c.load(ctx); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	ready()
	return run.With(ctx, func(s *run.Scope) error {
		s.Go("backfill", c.backfill)
		return c.follow(s.Context())
	})
}

// follow keeps a watch of the store until ctx ends or the store is closed.
//
//	watching --broke--> wait --> watching from the last seen revision
//	watching --compacted--> load anew (watchers end with ErrExpired) --> watching
func (c *Cache) follow(ctx context.Context) error {
	wait := retryFirst
	for {
		before := c.Revision()
		err := c.store.Watch(ctx, c.cfg.Prefix, before, store.WatchOptions{}, c.apply)
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return err
		}
		c.cfg.Log.Warn("cache lost its watch of the store", "err", err)
		if c.Revision() > before {
			wait = retryFirst
		}
		if errors.Is(err, store.ErrCompacted) {
			if err = c.load(ctx); err == nil {
				continue
			}
			c.cfg.Log.Warn("cache could not load anew", "err", err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, retryMax)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends all watchers and waiters.
func (c *Cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, r := range c.resources {
		r.groups.each(func(w *Watcher) { w.end(ErrClosed) })
		if r.packing != nil {
			r.packing.Stop()
		}
	}
	if c.marked.timer != nil {
		c.marked.timer.Stop()
	}
	if c.older.timer != nil {
		c.older.timer.Stop()
	}
	c.memos.stop()
	c.waits.close()
	c.markFilled()
}

func (w *waits) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.reached(0)
}

// load reads everything at one revision and starts all logs there.
func (c *Cache) load(ctx context.Context) error {
	for {
		l := c.beginLoad()
		revision, err := c.list(ctx, c.cfg.Prefix, 0, l.take)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if c.admitAll(l, revision) {
			c.waits.reached(revision)
			return nil
		}
	}
}

// loading is a load at work: the new resources, and those that they are to replace.
type loading struct {
	*Cache // holds the new resources, for find
	owner  *Cache
	old    map[string]*resource
}

func (c *Cache) beginLoad() loading {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l := loading{&Cache{resources: make(map[string]*resource, len(c.resources))}, c, maps.Clone(c.resources)}
	for prefix, r := range c.resources {
		l.resources[prefix] = newResource(r.Resource, c.cfg)
	}
	return l
}

func (l loading) take(kv store.KV) {
	if r := l.find(kv.Key); r != nil {
		o := l.owner.newObject(r, kv)
		r.cold.load(o)
		r.set(nil, o)
	}
}

// admitAll puts what was loaded in place. It refuses where a resource was added or changed during the load.
func (c *Cache) admitAll(l loading, revision int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for prefix, r := range c.resources {
		if l.old[prefix] != r {
			return false
		}
	}
	for prefix, old := range c.resources {
		r := l.resources[prefix]
		r.log.floor = revision
		c.resources[prefix] = r
		old.groups.each(func(w *Watcher) { w.end(ErrExpired) })
	}
	c.loaded, c.revision, c.loadedAt = true, revision, revision
	for _, j := range c.joining {
		j.missed = true
	}
	return true
}

// list visits all keys under prefix at one revision (0: now) and returns it. Errors: ErrExpired where it was compacted.
func (c *Cache) list(ctx context.Context, prefix string, revision int64, each func(store.KV)) (int64, error) {
	o := store.ListOptions{Revision: revision, Limit: pageSize}
	for {
		p, err := c.store.List(ctx, prefix, o)
		switch {
		case errors.Is(err, store.ErrCompacted):
			return 0, fmt.Errorf("%w: %w", ErrExpired, err)
		case errors.Is(err, store.ErrFutureRevision):
			return 0, fmt.Errorf("%w: %w", ErrFuture, err)
		case err != nil:
			return 0, err
		}
		for _, kv := range p.KVs {
			each(kv)
		}
		if !p.More {
			return p.Revision, nil
		}
		o.Revision, o.From = p.Revision, p.KVs[len(p.KVs)-1].Key+"\x00"
	}
}
