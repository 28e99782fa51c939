package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
)

// View is a mirror of one kind, kept current by one list and one watch. All readers of a process share it. Its objects
// have no managedFields, a third of a Pod that no controller reads: an update that sends none leaves the server's be.
//
// State: starting -> synced (WaitSynced returns) -> following; an expired watch lists again and delivers the
// difference, so that subscribers never miss a change and never see one twice.
type View[T Object] struct {
	r    Resource[T]
	opts metav1.ListOptions
	log  *slog.Logger

	mu      sync.RWMutex
	items   map[string]T
	indexes map[string]*index[T]
	rev     uint64
	synced  bool
	moved   chan struct{} // closed and replaced whenever rev or synced changes

	deliver   sync.Mutex // orders subscribers' calls
	listeners []func(old, new T)
}

type index[T Object] struct {
	of   func(T) []string
	keys map[string]map[string]T
}

func newView[T Object](r Resource[T], opts metav1.ListOptions, log *slog.Logger) *View[T] {
	return &View[T]{r: r, opts: opts, log: log.With("view", r.kind.Resource), items: map[string]T{},
		indexes: map[string]*index[T]{}, moved: make(chan struct{})}
}

// Get returns the shared object, which must not be changed.
func (v *View[T]) Get(ns, name string) (T, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.items[ns+"/"+name]
	return t, ok
}

// List returns the shared objects of namespace ns ("" for all) whose labels sel matches (nil: all), in no order.
func (v *View[T]) List(ns string, sel labels.Selector) []T {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []T
	for _, t := range v.items {
		if (ns == "" || t.GetNamespace() == ns) && (sel == nil || sel.Matches(labels.Set(t.GetLabels()))) {
			out = append(out, t)
		}
	}
	return out
}

// Index names a function that maps an object to keys, for ByIndex. Call it before or after the view has started;
// the same name twice keeps the first.
func (v *View[T]) Index(name string, of func(T) []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.indexes[name] != nil {
		return
	}
	ix := &index[T]{of: of, keys: map[string]map[string]T{}}
	for k, t := range v.items {
		ix.add(k, t)
	}
	v.indexes[name] = ix
}

// ByIndex returns the shared objects that index name maps to key.
func (v *View[T]) ByIndex(name, key string) []T {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []T
	for _, t := range v.indexes[name].keys[key] {
		out = append(out, t)
	}
	return out
}

// OnChange calls f for each change in order: old is the zero T for an addition, new for a removal. Objects that are
// already there are delivered as additions. f must not block and must not call OnChange.
func (v *View[T]) OnChange(f func(old, new T)) {
	v.deliver.Lock()
	defer v.deliver.Unlock()
	var none T
	for _, t := range v.List("", nil) {
		f(none, t)
	}
	v.listeners = append(v.listeners, f)
}

// WaitSynced blocks until the first list is in.
func (v *View[T]) WaitSynced(ctx context.Context) error {
	return v.wait(ctx, func() bool { return v.synced })
}

// WaitFor blocks until the view is not older than resourceVersion: to read one's own write.
func (v *View[T]) WaitFor(ctx context.Context, resourceVersion string) error {
	rev, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return err
	}
	return v.wait(ctx, func() bool { return v.synced && v.rev >= rev })
}

func (v *View[T]) wait(ctx context.Context, done func() bool) error {
	for {
		v.mu.RLock()
		ok, moved := done(), v.moved
		v.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// run follows the server until ctx ends, with a growing pause after failures.
func (v *View[T]) run(ctx context.Context) error {
	const first, most = 50 * time.Millisecond, 10 * time.Second
	pause := first
	for ctx.Err() == nil {
		progressed, err := v.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if progressed {
			pause = first
		}
		if err != nil {
			v.log.Warn("view lost its watch", "err", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, most)
		}
	}
	return ctx.Err()
}

// follow lists where that is needed, then applies watch events until the watch ends.
func (v *View[T]) follow(ctx context.Context) (progressed bool, err error) {
	v.mu.RLock()
	rev, synced := v.rev, v.synced
	v.mu.RUnlock()
	if !synced || rev == 0 {
		if rev, err = v.relist(ctx); err != nil {
			return false, err
		}
	}
	o := v.opts
	o.ResourceVersion, o.AllowWatchBookmarks = strconv.FormatUint(rev, 10), true
	w, err := v.r.Watch(ctx, "", o)
	if err != nil {
		return false, v.expire(err)
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		}
		if err != nil {
			return true, v.expire(err)
		}
		v.apply(e)
	}
}

// expire makes the next round list again where the server no longer knows our revision.
func (v *View[T]) expire(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		v.mu.Lock()
		v.rev = 0
		v.mu.Unlock()
	}
	return err
}

func (v *View[T]) relist(ctx context.Context) (uint64, error) {
	items, list, err := v.r.List(ctx, "", v.opts)
	if err != nil {
		return 0, err
	}
	rev, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0, err
	}
	v.deliver.Lock()
	defer v.deliver.Unlock()
	seen := make(map[string]bool, len(items))
	for _, t := range items {
		k := t.GetNamespace() + "/" + t.GetName()
		seen[k] = true
		if old, ok := v.items[k]; !ok || old.GetResourceVersion() != t.GetResourceVersion() {
			v.set(k, t)
		}
	}
	for k := range v.items {
		if !seen[k] {
			v.drop(k)
		}
	}
	v.move(rev)
	return rev, nil
}

func (v *View[T]) apply(e Event[T]) {
	rev, _ := strconv.ParseUint(e.Object.GetResourceVersion(), 10, 64)
	v.deliver.Lock()
	defer v.deliver.Unlock()
	k := e.Object.GetNamespace() + "/" + e.Object.GetName()
	switch e.Type {
	case watch.Added, watch.Modified:
		v.set(k, e.Object)
	case watch.Deleted:
		v.drop(k)
	}
	v.move(rev)
}

// set and drop change one object and tell the listeners; the caller holds deliver.
func (v *View[T]) set(k string, t T) {
	t.SetManagedFields(nil)
	v.mu.Lock()
	old := v.items[k]
	_, had := v.items[k]
	v.items[k] = t
	for _, ix := range v.indexes {
		if had {
			ix.remove(k, old)
		}
		ix.add(k, t)
	}
	v.mu.Unlock()
	for _, f := range v.listeners {
		f(old, t)
	}
}

func (v *View[T]) drop(k string) {
	v.mu.Lock()
	old, had := v.items[k]
	delete(v.items, k)
	if had {
		for _, ix := range v.indexes {
			ix.remove(k, old)
		}
	}
	v.mu.Unlock()
	if !had {
		return
	}
	var none T
	for _, f := range v.listeners {
		f(old, none)
	}
}

func (v *View[T]) move(rev uint64) {
	v.mu.Lock()
	v.rev, v.synced = max(rev, v.rev), true
	close(v.moved)
	v.moved = make(chan struct{})
	v.mu.Unlock()
}

func (ix *index[T]) add(k string, t T) {
	for _, key := range ix.of(t) {
		if ix.keys[key] == nil {
			ix.keys[key] = map[string]T{}
		}
		ix.keys[key][k] = t
	}
}

func (ix *index[T]) remove(k string, t T) {
	for _, key := range ix.of(t) {
		delete(ix.keys[key], k)
		if len(ix.keys[key]) == 0 {
			delete(ix.keys, key)
		}
	}
}
