package cache

import (
	"context"
	"fmt"
	"time"

	"minato.dev/minato/internal/store"
)

// olderKept is how long a state that was read from the store is kept for the next page of a list, counted from its last use.
const olderKept = time.Minute

// older holds, for each resource, the last older state that was read from the store. The cache's lock guards it.
type older struct {
	states map[string]pin // by prefix
	timer  *time.Timer    // forgets them all; runs while there are any
}

// LoadAt reads the state as of a revision that is older than the cache's log from the store, once for all pages of a list.
// Objects that have not changed since are those of the cache. Errors: ErrExpired where the store has compacted it,
// ErrUnknown, the store's.
func (c *Cache) LoadAt(ctx context.Context, prefix string, revision int64) (*Snapshot, error) {
	s, now, err := c.kept(prefix, revision)
	if s != nil || err != nil {
		return s, err
	}
	r, st := now.resource, newState(now.Indexed)
	_, err = c.list(ctx, r.Prefix, revision, func(kv store.KV) {
		o, same := now.state.get(kv.Key)
		if !same || o.Revision != kv.ModRevision {
			o = c.newObject(r, kv)
		}
		st.set(nil, o)
	})
	if err != nil {
		return nil, fmt.Errorf("load %s at %d: %w", prefix, revision, err)
	}
	c.keep(pin{revision, &st}, r.Prefix)
	return &Snapshot{r.Prefix, revision, &st}, nil
}

// present is a resource with its newest state.
type present struct {
	*resource
	state *state
}

// kept returns the state that LoadAt kept, or what it needs to read it.
func (c *Cache) kept(prefix string, revision int64) (*Snapshot, present, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest, err := c.snapshot(prefix)
	if err != nil {
		return nil, present{}, err
	}
	r := c.find(prefix)
	if p, ok := c.older.states[r.Prefix]; ok && p.revision == revision {
		c.older.timer.Reset(olderKept)
		return &Snapshot{r.Prefix, revision, p.state}, present{}, nil
	}
	return nil, present{r, newest.state}, nil
}

func (c *Cache) keep(p pin, prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.older.states == nil {
		c.older.states = map[string]pin{}
	}
	c.older.states[prefix] = p
	if c.older.timer == nil {
		c.older.timer = time.AfterFunc(olderKept, c.forgetOlder)
	} else {
		c.older.timer.Reset(olderKept)
	}
}

func (c *Cache) forgetOlder() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.older.states)
}
