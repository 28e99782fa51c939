package cache

import (
	"context"
	"fmt"
	"strings"
	"time"

	"minato.dev/minato/internal/store"
)

// joining is a resource that is being loaded while the cache runs. Its writes since the beginning wait in pending.
type joining struct {
	prefix  string
	pending []store.Event
	missed  bool // the cache loaded anew meanwhile, so that pending has a gap
}

// join is the joining resource that key belongs to.
func (c *Cache) join(key string) *joining {
	for _, j := range c.joining {
		if strings.HasPrefix(key, j.prefix) {
			return j
		}
	}
	return nil
}

// AddResource starts to cache one more resource and returns when it is loaded. Adding a prefix that is there replaces it;
// its watchers end with ErrExpired. Errors: the context's, the store's.
func (c *Cache) AddResource(ctx context.Context, cfg Resource) error {
	for {
		done, err := c.addResource(ctx, cfg)
		if done || err != nil {
			return err
		}
	}
}

// addResource tries once; not done means that the cache loaded anew in between.
func (c *Cache) addResource(ctx context.Context, cfg Resource) (done bool, err error) {
	j := &joining{prefix: cfg.Prefix}
	if !c.beginJoin(cfg, j) {
		return true, nil
	}
	r := newResource(cfg, c.cfg)
	revision, err := c.list(ctx, cfg.Prefix, 0, func(kv store.KV) {
		o := c.newObject(r, kv)
		r.cold.load(o)
		r.set(nil, o)
	})
	if err == nil {
		err = c.waitFor(ctx, revision, patience, func() error { return c.store.Progress(ctx) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joining[cfg.Prefix] == j {
		delete(c.joining, cfg.Prefix)
	}
	if err != nil {
		return false, fmt.Errorf("cache: add %s: %w", cfg.Prefix, err)
	}
	if j.missed {
		return false, nil
	}
	c.admit(r, j.pending, revision)
	return true, nil
}

// beginJoin says false where Run has not loaded yet and will load the resource with the others.
func (c *Cache) beginJoin(cfg Resource, j *joining) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		c.resources[cfg.Prefix] = newResource(cfg, c.cfg)
		return false
	}
	if old := c.joining[cfg.Prefix]; old != nil {
		old.missed = true
	}
	c.joining[cfg.Prefix] = j
	return true
}

// admit puts a loaded resource among the others, with the writes since its load.
func (c *Cache) admit(r *resource, pending []store.Event, loadedAt int64) {
	r.log.floor, r.since = loadedAt, loadedAt
	now := time.Now()
	for _, e := range pending {
		switch {
		case e.KV.ModRevision <= loadedAt:
		case e.Type == store.Deleted:
			r.apply(e, nil, now)
		default:
			r.apply(e, c.newObject(r, e.KV), now)
		}
	}
	c.dismiss(r.Prefix, ErrExpired)
	c.resources[r.Prefix] = r
}

func (c *Cache) dismiss(prefix string, why error) {
	if old := c.resources[prefix]; old != nil {
		old.groups.each(func(w *Watcher) { w.end(why) })
		delete(c.resources, prefix)
	}
}

// RemoveResource forgets a resource and ends its watchers with ErrUnknown.
func (c *Cache) RemoveResource(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismiss(prefix, ErrUnknown)
}
