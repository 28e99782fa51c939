package cache

import (
	"time"

	"minato.dev/minato/internal/store"
)

// apply takes one batch of the store's watch. Values are read (Index) before the lock is taken.
func (c *Cache) apply(b store.Batch) error {
	read := c.index(b.Events)
	now := time.Now()
	c.mu.Lock()
	for i, e := range b.Events {
		if j := c.join(e.KV.Key); j != nil {
			j.pending = append(j.pending, e)
		}
		r := c.find(e.KV.Key)
		if r == nil || e.KV.ModRevision <= max(r.since, c.revision) {
			continue
		}
		o := read[i].object
		if read[i].by != r && e.Type != store.Deleted {
			o = c.newObject(r, e.KV) // the resource has joined or changed since
		}
		r.apply(e, o, now)
		if o != nil {
			c.wrote(r, o)
		}
	}
	c.revision = max(c.revision, b.Revision)
	c.mu.Unlock()
	c.waits.reached(b.Revision)
	return nil
}

// reading is a new value's record, and the resource that it was read for.
type reading struct {
	by     *resource
	object *Object // nil for deletions and for keys of no resource
}

func (c *Cache) index(events []store.Event) []reading {
	out := make([]reading, len(events))
	for i, e := range events {
		if e.Type == store.Deleted {
			continue
		}
		c.mu.RLock()
		r := c.find(e.KV.Key)
		c.mu.RUnlock()
		if r != nil {
			out[i] = reading{r, c.newObject(r, e.KV)}
		}
	}
	return out
}

func (r *resource) apply(e store.Event, o *Object, now time.Time) {
	if entry := r.entryFor(e, o); entry != nil {
		entry.at = now
		r.write(entry)
	}
}
