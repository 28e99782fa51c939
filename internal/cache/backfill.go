package cache

import (
	"context"
	"errors"
	"time"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

const (
	// backfillRevisions is how far the logs reach back after a start, where the store still knows.
	backfillRevisions = 2048
	backfillTime      = 5 * time.Second
)

// errFilled ends the watch of the past when it has reached the present.
var errFilled = errors.New("the past is read")

// backfill reads the store's recent past into the logs when the first client of the process before takes up its watch again,
// so that it need not list everything. Reading nothing is no error: such clients then list.
func (c *Cache) backfill(ctx context.Context) error {
	select {
	case <-c.wantPast:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.markFilled()
	}()
	c.mu.RLock()
	loadedAt := c.loadedAt
	c.mu.RUnlock()
	for reach := int64(backfillRevisions); reach >= backfillRevisions/16; reach /= 4 {
		from := max(loadedAt-reach, 1)
		events, err := c.past(ctx, from, loadedAt)
		if err == nil {
			c.fill(events, from, loadedAt)
			return nil
		}
		if !errors.Is(err, store.ErrCompacted) {
			c.cfg.Log.Warn("cache could not read the history from before its start", "err", err)
			return nil
		}
	}
	return nil
}

func (c *Cache) markFilled() {
	select {
	case <-c.filled:
	default:
		close(c.filled)
	}
}

// past is the store's events after from, up to and including to.
func (c *Cache) past(ctx context.Context, from, to int64) (events []store.Event, err error) {
	if from >= to {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, backfillTime)
	defer cancel()
	err = run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		s.Go("progress", func(ctx context.Context) error { return c.hurry(ctx) })
		return c.store.Watch(s.Context(), c.cfg.Prefix, from, store.WatchOptions{Prev: true}, func(b store.Batch) error {
			for _, e := range b.Events {
				if e.KV.ModRevision <= to {
					events = append(events, e)
				}
			}
			if b.Revision >= to {
				return errFilled
			}
			return nil
		})
	})
	if errors.Is(err, errFilled) {
		return events, nil
	}
	return nil, errors.Join(err, ctx.Err())
}

// hurry asks for progress until ctx ends: the last of the past's revisions may lie outside of the prefix.
func (c *Cache) hurry(ctx context.Context) error {
	for {
		if err := pause(ctx, 4*patience); err != nil {
			return err
		}
		if err := c.store.Progress(ctx); err != nil {
			return err
		}
	}
}

// fill puts the past before the logs that still begin at the load.
func (c *Cache) fill(events []store.Event, from, loadedAt int64) {
	older := map[*resource][]*entry{}
	floor := map[*resource]int64{}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		r := c.find(e.KV.Key)
		if r == nil || r.log.floor != loadedAt {
			continue
		}
		if e.Type != store.Created && e.Prev == nil { // its past is compacted: begin behind it
			older[r], floor[r] = nil, e.KV.ModRevision
			continue
		}
		en := &entry{revision: e.KV.ModRevision, at: now}
		if e.Type != store.Deleted {
			en.object = c.newObject(r, e.KV)
		}
		if e.Prev != nil {
			en.prev = c.newObject(r, *e.Prev)
		}
		older[r] = append(older[r], en)
	}
	for _, r := range c.resources {
		if r.log.floor == loadedAt {
			r.log.prepend(older[r], max(from, floor[r]))
		}
	}
}
