package client

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// View is a mirror of one kind, kept current by one list and one watch. All readers of a process share it. Its objects
// have no managedFields, a third of a Pod that no controller reads: an update that sends none leaves the server's be.
//
// In the server's own process it is no copy but a view of what the server stores (see Local): Get, List and ByIndex
// decode what they return, unless somebody did so a moment ago. Two calls may return two objects for one state.
//
// State: starting -> synced (WaitSynced returns) -> following; an expired watch lists again and delivers the
// difference, so that subscribers never miss a change and never see one twice.
type View[T Object] struct {
	r    Resource[T]
	opts metav1.ListOptions
	log  *slog.Logger

	mu        sync.RWMutex
	items     map[place]*held[T]
	indexes   map[string]*index[T]
	newcomers []*newcomer[T]
	rev       uint64
	synced    bool
	moved     chan struct{} // closed and replaced whenever rev or synced changes

	deliver   sync.Mutex // orders subscribers' calls
	listeners []func(old, new T)
}

func newView[T Object](r Resource[T], opts metav1.ListOptions, log *slog.Logger) *View[T] {
	return &View[T]{r: r, opts: opts, log: log.With("view", r.kind.Resource), items: map[place]*held[T]{},
		indexes: map[string]*index[T]{}, moved: make(chan struct{})}
}

// Get returns the shared object, which must not be changed.
func (v *View[T]) Get(ns, name string) (t T, ok bool) {
	v.mu.RLock()
	h := v.items[place{ns, name}]
	v.mu.RUnlock()
	if h == nil {
		return t, false
	}
	return v.look(h)
}

// look decodes where that is needed. What cannot be decoded is not there for readers; the log says so.
func (v *View[T]) look(h *held[T]) (T, bool) {
	t, err := h.get()
	if err != nil {
		at := h.place()
		v.log.Error("object not decoded", "namespace", at.namespace, "name", at.name, "err", err)
	}
	return t, err == nil
}

func (v *View[T]) lookAll(all []*held[T]) []T {
	if len(all) == 0 {
		return nil
	}
	out := make([]T, 0, len(all))
	for _, h := range all {
		if t, ok := v.look(h); ok {
			out = append(out, t)
		}
	}
	return out
}

// List returns the shared objects of namespace ns ("" for all) whose labels sel matches (nil: all), in no order.
func (v *View[T]) List(ns string, sel labels.Selector) []T { return v.lookAll(v.held(ns, sel)) }

func (v *View[T]) held(ns string, sel labels.Selector) (out []*held[T]) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for at, h := range v.items {
		if (ns == "" || at.namespace == ns) && (sel == nil || sel.Matches(h.labels())) {
			out = append(out, h)
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
	ix := &index[T]{of: of, keys: map[string]*bucket[T]{}}
	for at, h := range v.items {
		if t, ok := v.look(h); ok {
			ix.add(at, t, h)
		}
	}
	v.indexes[name] = ix
}

// ByIndex returns the shared objects that index name maps to key.
func (v *View[T]) ByIndex(name, key string) []T {
	v.mu.RLock()
	all := v.indexes[name].all(key)
	v.mu.RUnlock()
	return v.lookAll(all)
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

// renew is set for what may be known already.
func (v *View[T]) renew(h *held[T]) {
	v.mu.RLock()
	old := v.items[h.place()]
	v.mu.RUnlock()
	if old == nil || !old.sameAs(h) {
		v.set(h)
	}
}

// keep drops everything that is not among seen; the caller holds deliver.
func (v *View[T]) keep(seen map[place]bool) {
	v.mu.RLock()
	var gone []place
	for at := range v.items {
		if !seen[at] {
			gone = append(gone, at)
		}
	}
	v.mu.RUnlock()
	for _, at := range gone {
		v.drop(at)
	}
}

// set and drop change one object and tell the listeners; the caller holds deliver. The objects are decoded only where
// an index or a listener asks.
func (v *View[T]) set(h *held[T]) {
	at := h.place()
	v.mu.RLock()
	old, had := v.items[at]
	wanted := len(v.indexes) > 0 || len(v.listeners) > 0
	v.mu.RUnlock()
	var was, is T
	if wanted {
		is, _ = v.look(h)
		if had {
			was, _ = v.look(old)
		}
	}
	v.exchange(at, old, h)
	v.tell(was, is)
}

func (v *View[T]) drop(at place) {
	v.mu.RLock()
	old := v.items[at]
	v.mu.RUnlock()
	if old == nil {
		return
	}
	v.exchange(at, old, nil)
	var none T
	if len(v.listeners) > 0 {
		was, _ := v.look(old)
		v.tell(was, none)
	}
}

// exchange puts h, or nothing where it is nil, in the place of old, which may be nil too.
func (v *View[T]) exchange(at place, old, h *held[T]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, ix := range v.indexes {
		if old != nil {
			if t, ok := v.look(old); ok {
				ix.remove(at, t)
			}
		}
		if h != nil {
			if t, ok := v.look(h); ok {
				ix.add(at, t, h)
			}
		}
	}
	if h == nil {
		delete(v.items, at)
		return
	}
	v.items[at] = h
}

// tell passes a change on; an object that could not be decoded is the zero T, as if it were not there.
func (v *View[T]) tell(old, new T) {
	var none T
	if any(old) == any(none) && any(new) == any(none) {
		return
	}
	for _, f := range v.listeners {
		f(old, new)
	}
}

func (v *View[T]) move(rev uint64) {
	v.mu.Lock()
	v.rev, v.synced = max(rev, v.rev), true
	close(v.moved)
	v.moved = make(chan struct{})
	v.mu.Unlock()
}
