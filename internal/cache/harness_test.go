package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

const pods, nodes = "/registry/pods/", "/registry/nodes/"

// body is the stored form of the tests' objects.
type body struct {
	Labels, Fields map[string]string
	N              int
}

func index(prefix string) func(string, []byte) (Meta, error) {
	return func(key string, value []byte) (Meta, error) {
		var b body
		if err := json.Unmarshal(value, &b); err != nil {
			return Meta{}, err
		}
		m := metaFromKey(strings.TrimPrefix(key, prefix))
		m.Labels, m.Fields = b.Labels, b.Fields
		return m, nil
	}
}

func testResources() []Resource {
	return []Resource{
		{Prefix: pods, Index: index(pods), Indexed: []string{"spec.nodeName"}},
		{Prefix: nodes, Index: index(nodes)},
	}
}

func pod(node, app string, n int) []byte {
	b, err := json.Marshal(body{Labels: map[string]string{"app": app}, Fields: map[string]string{"spec.nodeName": node}, N: n})
	if err != nil {
		panic(err)
	}
	return b
}

func isApp(app string) func(*Object) bool {
	return func(o *Object) bool { return o.Labels.Get("app") == app }
}

// world is a running cache over a store in memory.
type world struct {
	*testing.T
	st    store.Store
	cache *Cache
	left  map[*Watcher][]Event // read but not asked for yet
}

func start(t *testing.T, st store.Store, change func(*Config)) *world {
	t.Helper()
	cfg := Config{Resources: testResources(), SoleWriter: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&cfg)
	}
	c := New(st, cfg)
	ready := make(chan struct{})
	scope := run.NewScope(context.WithoutCancel(t.Context()))
	scope.Go("cache", func(ctx context.Context) error { return c.Run(ctx, func() { close(ready) }) })
	t.Cleanup(func() {
		scope.Stop()
		if err := scope.Wait(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the cache is not ready")
	}
	return &world{t, c.Store(), c, map[*Watcher][]Event{}}
}

func newWorld(t *testing.T, change func(*Config)) *world { return start(t, store.NewMemory(), change) }

func (w *world) rev(rev int64, err error) int64 {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return rev
}

func (w *world) create(key string, value []byte) int64 {
	w.Helper()
	return w.rev(w.st.Create(w.Context(), key, value, 0))
}

func (w *world) update(key string, value []byte) int64 {
	w.Helper()
	return w.rev(w.st.Update(w.Context(), key, value, 0, 0))
}

func (w *world) remove(key string) int64 {
	w.Helper()
	return w.rev(w.st.Delete(w.Context(), key, 0))
}

func (w *world) fresh() int64 { w.Helper(); return w.rev(w.cache.Fresh(w.Context())) }

func (w *world) watch(prefix string, after int64, filter func(*Object) bool, o WatchOptions) *Watcher {
	w.Helper()
	x, err := w.cache.Watch(w.Context(), prefix, after, filter, o)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(x.Close)
	return x
}

// events reads n events.
func (w *world) events(x *Watcher, n int) []Event {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for len(w.left[x]) < n {
		events, err := x.Next(ctx)
		if err != nil {
			w.Fatalf("after %d of %d events: %v", len(w.left[x]), n, err)
		}
		w.left[x] = append(w.left[x], events...)
	}
	out := w.left[x][:n:n]
	w.left[x] = w.left[x][n:]
	return out
}

// next is events as text: TYPE name@revision.
func (w *world) next(x *Watcher, n int) []string {
	w.Helper()
	out := make([]string, n)
	for i, e := range w.events(x, n) {
		out[i] = show(e)
	}
	return out
}

func show(e Event) string {
	switch {
	case e.InitialEnd:
		return fmt.Sprintf("INITIAL-END @%d", e.Revision)
	case e.Object == nil:
		return fmt.Sprintf("%s @%d", e.Type, e.Revision)
	}
	return fmt.Sprintf("%s %s@%d", e.Type, e.Object.Name, e.Object.Revision)
}

func (w *world) names(s *Snapshot, err error) string {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	s.Ascend("", func(o *Object) bool { out = append(out, o.Name); return true })
	return strings.Join(out, " ")
}

// flaky breaks its watches after a number of batches, and can pretend that what was missed is compacted.
type flaky struct {
	store.Store
	mu        sync.Mutex
	every     int
	compacted bool
	breaks    int
}

var errFlaky = errors.New("the line went dead")

func (f *flaky) Watch(ctx context.Context, prefix string, after int64, o store.WatchOptions, each func(store.Batch) error) error {
	left := f.every
	return f.Store.Watch(ctx, prefix, after, o, func(b store.Batch) error {
		if left--; left < 0 {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.breaks++; f.compacted {
				return fmt.Errorf("%w: in a test", store.ErrCompacted)
			}
			return errFlaky
		}
		return each(b)
	})
}
