package apiserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// minWatch is the shortest life of a watch that asks for none; they end between one and two of it.
const minWatch = 30 * time.Minute

// watch streams the changes of the selected objects.
//
// State: (initial objects, their end bookmark)? -> changes -> ended: by the client, the timeout, the server's stop, or
// with one ERROR event where the cache no longer knows what comes next.
func (c *call) watch() error {
	var err error
	if c.out, err = negotiate.ChooseStream(c.r, true); err != nil {
		return err
	}
	o, err := c.listOptions()
	if err != nil {
		return err
	}
	rev, err := revisionOf(o.ResourceVersion)
	if err != nil {
		return err
	}
	e, err := c.newEventWriter()
	if err != nil {
		return err
	}
	f := feedOf(c.ctx())
	ctx, cancel := c.watchContext(o)
	defer cancel()
	e.gone = cancel
	defer e.end()
	if f == nil && rev > c.s.cache.Revision() {
		if err := c.watchAhead(ctx, e, o, rev); err != nil {
			e.fail(err)
			return e.flush()
		}
	}
	w, err := c.openWatch(ctx, o, rev)
	switch {
	case errors.Is(err, cache.ErrExpired):
		expired := tooOld(rev, c.s.cache.Revision())
		if f != nil {
			f.fail(expired)
			return nil
		}
		// Upstream has already said 200 when it finds out.
		e.begin()
		e.fail(expired)
		return e.flush()
	case err != nil:
		if ctx.Err() != nil {
			e.begin()
			return e.flush()
		}
		if e.begun {
			e.fail(err)
			return e.flush()
		}
		return err
	}
	defer w.Close()
	if f != nil {
		f.stream(ctx, c, w, o.AllowWatchBookmarks)
		return nil
	}
	e.begin()
	e.bookmarks = o.AllowWatchBookmarks
	c.stream(ctx, w, e)
	return nil
}

// watchAhead begins a watch from a revision that is still to come: the client is told at once that it is watching. Where it
// wants the state first, the revision has to come soon.
func (c *call) watchAhead(ctx context.Context, e *eventWriter, o *internalversion.ListOptions, rev int64) error {
	e.begin()
	if o.SendInitialEvents == nil || !*o.SendInitialEvents {
		return nil
	}
	err := c.s.waitRevision(ctx, rev)
	if ctx.Err() != nil {
		return tooNew(rev, c.s.cache.Revision())
	}
	return err
}

// watchContext ends with the client, with the watch's time, or when the server stops.
func (c *call) watchContext(o *internalversion.ListOptions) (context.Context, context.CancelFunc) {
	limit := time.Duration((1 + rand.Float64()) * float64(minWatch))
	if o.TimeoutSeconds != nil && *o.TimeoutSeconds > 0 {
		limit = time.Duration(*o.TimeoutSeconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(c.ctx(), limit)
	r := c.s.running.Load()
	if r == nil {
		return ctx, cancel
	}
	forget := context.AfterFunc(r.watches, cancel)
	return ctx, func() { forget(); cancel() }
}

// openWatch finds where in the log the watch begins.
func (c *call) openWatch(ctx context.Context, o *internalversion.ListOptions, rev int64) (*cache.Watcher, error) {
	sel := c.selectionOf(o)
	opts := cache.WatchOptions{Bookmarks: o.AllowWatchBookmarks, Field: sel.index, Value: sel.value}
	prefix := sel.prefix
	if sel.one != "" {
		prefix = sel.one
	}
	switch {
	case o.SendInitialEvents != nil:
		opts.SendInitial = *o.SendInitialEvents
	case rev == 0:
		opts.SendInitial = true // "any" and "newest" have always begun with the state
	}
	if o.ResourceVersion == "" {
		if _, err := c.s.cache.Fresh(ctx); err != nil {
			return nil, err
		}
	}
	if rev > c.s.cache.Revision() {
		if _, err := c.s.cache.Fresh(ctx); err != nil {
			return nil, err
		}
		if err := c.s.cache.WaitFor(ctx, rev); err != nil {
			return nil, err
		}
	}
	if rev == 0 {
		rev = c.s.cache.Revision()
	}
	return c.s.cache.Watch(ctx, prefix, rev, sel.filter(), opts)
}

// stream passes events on until the watch ends: what there is goes out in one flush, then it waits for more.
func (c *call) stream(ctx context.Context, w *cache.Watcher, e *eventWriter) {
	p := c.res.newPacer(w)
	defer p.end()
	for {
		events, err := w.Ready()
		switch {
		case err != nil:
		case ctx.Err() != nil:
			err = ctx.Err()
		case len(events) == 0:
			if err = w.Await(ctx); err == nil {
				p.busy = p.pause(ctx)
				continue
			}
		default:
			c.res.sent.Add(int64(len(events)))
			err = e.gather(events)
		}
		switch {
		case errors.Is(err, cache.ErrExpired):
			c.res.tooSlow.Add(1)
			e.fail(tooOld(e.last, c.s.cache.Revision()))
		case errors.Is(err, errNotRendered):
			c.s.log.Error("watch event not rendered", "resource", c.res.Name, "err", err)
			e.fail(err)
		}
		if gone := e.flush(); gone != nil || err != nil {
			return
		}
		if p.flushed = time.Now(); p.busy {
			p.busy = len(events) > 0 && p.pause(ctx)
		}
	}
}

// tooOld is the error for a revision whose successors are forgotten.
func tooOld(rev, current int64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", rev, current))
}

// initialEnd is the annotation of the bookmark that ends the initial objects.
const initialEnd = metav1.InitialEventsAnnotationKey
