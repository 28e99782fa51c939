package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// EventType says what a watcher should think of an event; the words are those of the API.
type EventType string

// The types of Event. Failures end a watcher and come as Next's error.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
	Bookmark EventType = "BOOKMARK"
)

// An Event is one change as a watcher with a filter sees it: an object that begins to match is Added, one that ceases to
// match, or is gone, is Deleted. Object is the new state; for Deleted the last matching state, carrying the revision of the
// deletion. Object.Revision is always Revision (initial objects: their own). Prev is the state before, nil for Added of a new object.
// Events are shared between watchers and must not be changed.
type Event struct {
	Type     EventType
	Object   *Object // nil for Bookmark
	Prev     *Object
	Revision int64
	// InitialEnd marks the one Bookmark that follows the initial objects (WatchOptions.SendInitial), whether or not
	// bookmarks were asked for.
	InitialEnd bool
}

// WatchOptions of Watch.
type WatchOptions struct {
	// Bookmarks asks for a Bookmark about every minute.
	Bookmarks bool
	// SendInitial begins with the present state (not older than the asked revision) as Added events, then a Bookmark
	// with InitialEnd, then the changes.
	SendInitial bool
	// Field and Value, where Field is one of Resource.Indexed, limit the watch to objects whose field has this value (in addition
	// to the filter); others do not even wake it.
	Field, Value string
}

// A Watcher is one reader's place in the log. Its methods belong to one goroutine at a time, but Close and AskBookmark
// may be called from any.
//
//	initial --all sent--> reading --end of the log--> idle --a write of its group--> reading ...
//	reading --its place fell off the log--> ErrExpired
type Watcher struct {
	cache    *Cache
	resource *resource
	prefix   string
	filter   func(*Object) bool
	opts     WatchOptions
	wakeup   chan struct{} // holds one token
	markDue  atomic.Bool

	initial *Snapshot // nil when sent
	from    string    // next key of initial

	// Guarded by the cache's lock: the reader changes them under the shared lock, all others under the exclusive one.
	cursor int64
	idle   bool
	err    error

	raw []*entry
	out []Event
}

// batchSize bounds what Next takes from the log at a time.
const batchSize = 256

// Watch follows the keys that start with prefix (a resource's prefix, one namespace of it ending in "/", or one whole
// key) after the revision after; filter, which may be nil, sees objects and decides which belong to the watch. The caller must
// Close the Watcher. Errors: ErrExpired, ErrFuture, ErrUnknown, ErrClosed, the context's.
func (c *Cache) Watch(ctx context.Context, prefix string, after int64, filter func(*Object) bool, opts WatchOptions) (*Watcher, error) {
	w, err := c.watch(prefix, after, filter, opts)
	if err != ErrExpired {
		return w, err
	}
	// After a start of the program the logs can be made to reach further back, once.
	select {
	case c.wantPast <- struct{}{}:
	default:
	}
	select {
	case <-c.filled:
		return c.watch(prefix, after, filter, opts)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Cache) watch(prefix string, after int64, filter func(*Object) bool, opts WatchOptions) (*Watcher, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.find(prefix)
	if err := c.watchable(r, after, opts); err != nil {
		return nil, err
	}
	w := &Watcher{cache: c, resource: r, prefix: prefix, filter: filter, opts: opts, wakeup: make(chan struct{}, 1)}
	w.cursor = r.log.after(after)
	if opts.SendInitial {
		s, err := c.snapshot(prefix)
		if err != nil {
			return nil, err
		}
		w.initial, w.cursor = s, r.log.next
	}
	w.idle = w.cursor == r.log.next
	r.groups.add(w)
	if opts.Bookmarks {
		c.marked.add(w)
	}
	return w, nil
}

// watchable says why a watch cannot begin.
func (c *Cache) watchable(r *resource, after int64, opts WatchOptions) error {
	switch {
	case c.closed:
		return ErrClosed
	case r == nil:
		return ErrUnknown
	case opts.Field != "" && !slices.Contains(r.Indexed, opts.Field):
		return fmt.Errorf("watch %s by %s: the field has no index", r.Prefix, opts.Field)
	case opts.SendInitial && after <= c.revision:
		return nil
	}
	return c.covers(r, after)
}

// Next waits for the next events and returns at least one; the slice is valid until the next call. Errors: ErrExpired where
// the reader was too slow or the cache had to reload, ErrUnknown where the resource was removed, ErrClosed, the context's.
func (w *Watcher) Next(ctx context.Context) ([]Event, error) {
	for {
		if events, err := w.Ready(); err != nil || len(events) > 0 {
			return events, err
		}
		if err := w.Await(ctx); err != nil {
			return nil, err
		}
	}
}

// Await waits, after Ready has returned no events, until it may have some. Errors: the context's.
func (w *Watcher) Await(ctx context.Context) error {
	select {
	case <-w.wakeup:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Broad says whether the watcher hears of every write of a resource or of a namespace, and not of chosen objects alone.
func (w *Watcher) Broad() bool { return w.opts.Field == "" && strings.HasSuffix(w.prefix, "/") }

// Ready is Next without waiting: it returns no events where there are none.
func (w *Watcher) Ready() ([]Event, error) {
	for {
		w.out = w.out[:0]
		if w.initial != nil {
			if w.sendInitial(); len(w.out) > 0 {
				return w.out, nil
			}
			continue
		}
		mark, atEnd, err := w.take()
		if err != nil {
			return nil, err
		}
		for _, e := range w.raw {
			w.judge(e)
		}
		if mark > 0 {
			w.out = append(w.out, Event{Type: Bookmark, Revision: mark})
		}
		if len(w.out) > 0 || atEnd {
			return w.out, nil
		}
	}
}

// sendInitial appends the next matching objects of the first state, and the mark behind the last.
func (w *Watcher) sendInitial() {
	done := true
	visit := func(o *Object) bool {
		if w.matches(o) {
			w.out = append(w.out, Event{Type: Added, Object: o, Revision: o.Revision})
		}
		w.from = o.Key + "\x00"
		done = len(w.out) < batchSize
		return done
	}
	if w.opts.Field != "" {
		w.initial.ByField(w.opts.Field, w.opts.Value, w.prefix, w.from, visit)
	} else {
		w.initial.AscendPrefix(w.prefix, w.from, visit)
	}
	if done {
		w.out = append(w.out, Event{Type: Bookmark, Revision: w.initial.revision, InitialEnd: true})
		w.initial = nil
	}
}

// take copies the next part of the log into raw. atEnd says that there is no more of it: everything that concerns the
// watcher up to now has been taken. mark is then the cache's revision where a bookmark is due, else 0.
func (w *Watcher) take() (mark int64, atEnd bool, err error) {
	clear(w.raw)
	w.raw = w.raw[:0]
	w.cache.mu.RLock()
	defer w.cache.mu.RUnlock()
	log := &w.resource.log
	if w.err == nil && !w.idle && w.cursor < log.first {
		w.err = ErrExpired
	}
	if w.err != nil {
		return 0, false, w.err
	}
	if !w.idle {
		for ; w.cursor < log.next && len(w.raw) < batchSize; w.cursor++ {
			w.raw = append(w.raw, log.at(w.cursor))
		}
		w.idle = w.cursor == log.next
	}
	// Under the lock, so that the bookmark is not older than the question for it.
	if w.idle && w.markDue.CompareAndSwap(true, false) {
		mark = w.cache.revision
	}
	return mark, w.idle, nil
}

// judge appends what a write means to this watcher, if anything.
func (w *Watcher) judge(e *entry) {
	if !covers(w.prefix, e.key()) {
		return
	}
	is := e.object != nil && w.matches(e.object)
	was := e.prev != nil && w.matches(e.prev)
	ev := Event{Type: Modified, Object: e.object, Prev: e.prev, Revision: e.revision}
	switch {
	case is && !was:
		ev.Type = Added
	case was && !is:
		ev.Type, ev.Object = Deleted, e.tombstone()
	case !is:
		return
	}
	w.out = append(w.out, ev)
}

func (w *Watcher) matches(o *Object) bool {
	if !covers(w.prefix, o.Key) || w.opts.Field != "" && o.Fields.Get(w.opts.Field) != w.opts.Value {
		return false
	}
	return w.filter == nil || w.filter(o)
}

// signal wakes Next, or makes the next call of it not wait.
func (w *Watcher) signal() {
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

// end makes Next return err from now on. The cache's lock is held.
func (w *Watcher) end(err error) {
	if w.err == nil {
		w.err = err
	}
	w.signal()
}

// AskBookmark makes Next return a Bookmark as soon as the watcher is up to date (before the end of a connection, say).
func (w *Watcher) AskBookmark() {
	w.markDue.Store(true)
	w.signal()
}

// Close releases the watcher; Next then returns ErrClosed.
func (w *Watcher) Close() {
	c := w.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	w.resource.groups.remove(w)
	c.marked.remove(w)
	w.end(ErrClosed)
}
