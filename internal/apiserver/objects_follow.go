package apiserver

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/run"
)

// follower tells one listener of every change of a kind.
type follower struct {
	gr schema.GroupResource
	f  func(old, new runtime.Object)

	mu      sync.Mutex
	seen    int64
	moved   chan struct{}
	watcher *cache.Watcher           // nil between two
	known   map[string]*cache.Object // what the listener was told of, as it is stored
}

// OnChange calls f for each change of gr in order, while the server runs: old is nil for an addition, new is nil for a
// removal. Objects that are already there are delivered as additions. They have no managedFields, and live only as long
// as f keeps them. Call it before Run; f must be quick.
func (o *Objects) OnChange(gr schema.GroupResource, f func(old, new runtime.Object)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.follows = append(o.follows, &follower{gr: gr, f: f, moved: make(chan struct{}), known: map[string]*cache.Object{}})
}

// follow starts all followers and returns when each has been told of the present state.
func (o *Objects) follow(scope *run.Scope) error {
	o.mu.Lock()
	follows := o.follows
	o.mu.Unlock()
	for _, f := range follows {
		r, err := o.kind(f.gr)
		if err != nil {
			return err
		}
		scope.Go("follow "+f.gr.String(), func(ctx context.Context) error { return o.run(ctx, f, r) })
	}
	return o.CaughtUp(scope.Context())
}

// run passes changes on; where the cache had to reload it begins again with the difference.
func (o *Objects) run(ctx context.Context, f *follower, r *resource) error {
	for {
		rev := o.s.cache.Revision()
		w, err := o.s.cache.Watch(ctx, r.Prefix+"/", rev, nil, cache.WatchOptions{SendInitial: true})
		if err != nil {
			return err
		}
		f.follow(w)
		err = o.pump(ctx, f, r, w)
		f.follow(nil)
		w.Close()
		if !errors.Is(err, cache.ErrExpired) {
			return err
		}
	}
}

func (o *Objects) pump(ctx context.Context, f *follower, r *resource, w *cache.Watcher) error {
	initial := map[string]bool{}
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			if e.Type == cache.Bookmark {
				if e.InitialEnd {
					if err := f.forget(r, initial); err != nil {
						o.s.log.Error("object not followed", "resource", r.Name, "err", err)
					}
					initial = nil
				}
				f.reach(e.Revision)
				continue
			}
			if initial != nil {
				initial[e.Object.Key] = true
			}
			if err := o.tell(f, r, e); err != nil {
				o.s.log.Error("object not followed", "key", e.Object.Key, "err", err)
			}
			if initial == nil {
				f.reach(e.Revision)
			}
		}
	}
}

func (o *Objects) tell(f *follower, r *resource, e *cache.Event) error {
	key := e.Object.Key
	old := f.known[key]
	if e.Type == cache.Deleted {
		delete(f.known, key)
		return f.tell(r, old, nil)
	}
	f.known[key] = e.Object
	return f.tell(r, old, e.Object)
}

// tell decodes both states, either of which may be nil. One that cannot be decoded is as good as none.
func (f *follower) tell(r *resource, old, new *cache.Object) error {
	var was, is runtime.Object
	var err error
	for _, side := range []struct {
		from *cache.Object
		into *runtime.Object
	}{{old, &was}, {new, &is}} {
		if side.from == nil {
			continue
		}
		obj, e := r.light(side.from)
		if err = errors.Join(err, e); e == nil {
			*side.into = obj
		}
	}
	if was != nil || is != nil {
		f.f(was, is)
	}
	return err
}

// forget tells of the removal of what a new beginning no longer has.
func (f *follower) forget(r *resource, present map[string]bool) error {
	var err error
	for k, old := range f.known {
		if !present[k] {
			delete(f.known, k)
			err = errors.Join(err, f.tell(r, old, nil))
		}
	}
	return err
}

func (f *follower) reach(rev int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev > f.seen {
		f.seen = rev
		close(f.moved)
		f.moved = make(chan struct{})
	}
}

// follow notes the watcher that can be asked how far it is.
func (f *follower) follow(w *cache.Watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watcher = w
	close(f.moved)
	f.moved = make(chan struct{})
}

// wait blocks until the listener has been told of everything up to rev.
func (f *follower) wait(ctx context.Context, rev int64) error {
	for {
		f.mu.Lock()
		seen, moved, w := f.seen, f.moved, f.watcher
		f.mu.Unlock()
		if seen >= rev {
			return nil
		}
		if w != nil {
			w.AskBookmark()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// CaughtUp blocks until every f of OnChange has been told everything that was committed before the call.
func (o *Objects) CaughtUp(ctx context.Context) error {
	rev, err := o.s.cache.Fresh(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	follows := o.follows
	o.mu.Unlock()
	for _, f := range follows {
		if err := f.wait(ctx, rev); err != nil {
			return err
		}
	}
	return nil
}
