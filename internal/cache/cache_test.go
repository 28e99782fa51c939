package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/internal/store"
)

func TestSelectorTransitions(t *testing.T) {
	const key = pods + "ns/x"
	for _, c := range []struct {
		name  string
		steps func(w *world)
		want  string
	}{
		{"begins to match", func(w *world) { w.create(key, pod("", "b", 0)); w.update(key, pod("", "a", 1)) }, "ADDED x@3"},
		{"ceases to match", func(w *world) { w.create(key, pod("", "a", 0)); w.update(key, pod("", "b", 1)) }, "ADDED x@2 DELETED x@3"},
		{"stays", func(w *world) { w.create(key, pod("", "a", 0)); w.update(key, pod("", "a", 1)) }, "ADDED x@2 MODIFIED x@3"},
		{"is deleted", func(w *world) { w.create(key, pod("", "a", 0)); w.remove(key) }, "ADDED x@2 DELETED x@3"},
		{"is deleted unseen", func(w *world) { w.create(key, pod("", "b", 0)); w.remove(key) }, ""},
		{"comes again", func(w *world) {
			w.create(key, pod("", "a", 0))
			w.remove(key)
			w.create(key, pod("", "a", 0))
		}, "ADDED x@2 DELETED x@3 ADDED x@4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			x := w.watch(pods, 1, isApp("a"), WatchOptions{})
			c.steps(w)
			end := w.create(pods+"ns/end", pod("", "a", 0))
			want := strings.TrimSpace(fmt.Sprintf("%s ADDED end@%d", c.want, end))
			if got := strings.Join(w.next(x, strings.Count(want, "@")), " "); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestDeletedCarriesTheLastMatchingState(t *testing.T) {
	w := newWorld(t, nil)
	x := w.watch(pods, 1, isApp("a"), WatchOptions{})
	w.create(pods+"ns/x", pod("", "a", 7))
	w.update(pods+"ns/x", pod("", "b", 8))
	if e := w.events(x, 2)[1]; string(e.Object.Value()) != string(pod("", "a", 7)) || e.Object.Revision != 3 {
		t.Fatalf("%+v", e)
	}
}

func TestSnapshotsAtEveryRevision(t *testing.T) {
	w := newWorld(t, nil)
	want := map[int64]string{1: ""}
	want[w.create(pods+"ns/b", pod("", "", 0))] = "b"
	want[w.create(pods+"ns/a", pod("", "", 0))] = "a b"
	want[w.create(nodes+"n", pod("", "", 0))] = "a b"
	want[w.remove(pods+"ns/b")] = "a"
	want[w.update(pods+"ns/a", pod("n1", "", 1))] = "a"
	last := w.create(pods+"ns/c", pod("", "", 0))
	want[last] = "a c"
	w.fresh()
	for range 2 { // the second time from the pinned states
		for rev := int64(1); rev <= last; rev++ {
			s, err := w.cache.SnapshotAt(pods, rev)
			if got := w.names(s, err); got != want[rev] || s.Revision() != rev {
				t.Errorf("at %d (%d): %q, want %q", rev, s.Revision(), got, want[rev])
			}
			_, found, err := w.cache.GetAt(pods+"ns/b", rev)
			if err != nil || found != strings.Contains(want[rev], "b") {
				t.Errorf("GetAt %d: %v %v", rev, found, err)
			}
		}
	}
	if s, _ := w.cache.SnapshotAt(pods, last-2); !s.ByField("spec.nodeName", "n1", pods, "", func(*Object) bool { t.Error("index of the future"); return true }) {
		t.Error("no index")
	}
	_, err := w.cache.SnapshotAt(pods, last+1)
	if !errors.Is(err, ErrFuture) {
		t.Error(err)
	}
	if _, err := w.cache.Snapshot("/registry/none/"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestExpiredRevisionComesFromTheStore(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HistoryEvents = 4 })
	for i := range 10 {
		w.create(fmt.Sprint(pods, "ns/", i), pod("", "", 0))
	}
	w.fresh()
	if _, err := w.cache.SnapshotAt(pods, 4); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
	s, err := w.cache.LoadAt(t.Context(), pods, 4)
	if got := w.names(s, err); got != "0 1 2" {
		t.Fatal(got)
	}
	if err := w.st.Compact(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	if s, err = w.cache.LoadAt(t.Context(), pods, 4); w.names(s, err) != "0 1 2" {
		t.Fatal("the state is not kept for the next page")
	}
	if _, err := w.cache.LoadAt(t.Context(), pods, 5); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
	w.cache.forgetOlder()
	if _, err := w.cache.LoadAt(t.Context(), pods, 4); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
}

func TestIndexAndPaging(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 40 {
		w.create(fmt.Sprintf("%sns%d/p%02d", pods, i%2, i), pod(fmt.Sprint("n", i%4), "", 0))
	}
	w.update(pods+"ns0/p00", pod("n1", "", 0))
	w.remove(pods + "ns0/p04")
	w.fresh()
	s, err := w.cache.Snapshot(pods)
	if err != nil || s.Len() != 39 || s.Count(pods+"ns0/", pods+"ns0/p20") != 10 {
		t.Fatal(err, s.Len(), s.Count(pods+"ns0/", pods+"ns0/p20"))
	}
	for node, want := range map[string]int{"n0": 8, "n1": 11, "n9": 0} {
		n := 0
		s.ByField("spec.nodeName", node, pods, "", func(o *Object) bool { n++; return o.Fields.Get("spec.nodeName") == node })
		if n != want {
			t.Errorf("%s: %d objects, want %d", node, n, want)
		}
	}
	if s.ByField("spec.unknown", "", pods, "", nil) {
		t.Error("an index that nobody asked for")
	}
}

func TestWatchWithInitialState(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 600 {
		w.create(fmt.Sprintf("%sns/p%03d", pods, i), pod(fmt.Sprint("n", i%2), "a", 0))
	}
	at := w.fresh()
	x := w.watch(pods+"ns/", 0, isApp("a"), WatchOptions{SendInitial: true, Field: "spec.nodeName", Value: "n1"})
	w.create(pods+"ns/z", pod("n1", "a", 0))
	w.create(pods+"ns/zz", pod("n0", "a", 0))
	got := w.next(x, 302)
	if got[0] != "ADDED p001@3" || got[300] != fmt.Sprintf("INITIAL-END @%d", at) || got[301] != fmt.Sprintf("ADDED z@%d", at+1) {
		t.Fatal(got[0], got[299:])
	}
}

func TestOnlyConcernedWatchersWake(t *testing.T) {
	w := newWorld(t, nil)
	other := w.watch(pods+"other/", 1, nil, WatchOptions{})
	single := w.watch(pods+"ns/x1", 1, nil, WatchOptions{})
	field := w.watch(pods, 1, nil, WatchOptions{Field: "spec.nodeName", Value: "n2"})
	all := w.watch(pods, 1, nil, WatchOptions{})
	w.create(pods+"ns/x", pod("n1", "", 0))
	w.fresh()
	for name, x := range map[string]*Watcher{"namespace": other, "single": single, "field": field} {
		if len(x.wakeup) != 0 {
			t.Errorf("the %s watcher was woken", name)
		}
	}
	w.next(all, 1)
	w.update(pods+"ns/x", pod("n2", "", 0))
	w.update(pods+"ns/x", pod("n3", "", 0))
	if got := fmt.Sprint(w.next(field, 2)); got != "[ADDED x@3 DELETED x@4]" {
		t.Error(got)
	}
	w.create(pods+"ns/x1", pod("", "", 0))
	w.create(pods+"other/y", pod("", "", 0))
	if got := fmt.Sprint(w.next(single, 1), w.next(other, 1)); got != "[ADDED x1@5] [ADDED y@6]" {
		t.Error(got)
	}
}

func TestSlowWatcherExpiresAndSleepingOneDoesNot(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HistoryEvents = 8 })
	slow := w.watch(pods, 1, nil, WatchOptions{})
	asleep := w.watch(pods+"quiet/", 1, nil, WatchOptions{})
	for i := range 20 {
		w.create(fmt.Sprint(pods, "ns/", i), pod("", "", 0))
	}
	w.fresh()
	if _, err := slow.Next(t.Context()); !errors.Is(err, ErrExpired) {
		t.Fatal(err)
	}
	w.create(pods+"quiet/x", pod("", "", 0))
	if got := w.next(asleep, 1)[0]; got != "ADDED x@22" {
		t.Fatal(got)
	}
	if _, err := w.cache.Watch(t.Context(), pods, 99, nil, WatchOptions{}); !errors.Is(err, ErrFuture) {
		t.Fatal(err)
	}
}

func TestBookmarks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.BookmarkEvery = 5 * time.Millisecond })
	plain := w.watch(pods, 1, nil, WatchOptions{})
	x := w.watch(pods, 1, nil, WatchOptions{Bookmarks: true})
	w.create(nodes+"n", pod("", "", 0))
	for got := ""; got != "BOOKMARK @2"; {
		got = w.next(x, 1)[0]
	}
	x.Close()
	if len(w.cache.marked.who) != 0 {
		t.Error("still registered")
	}
	plain.AskBookmark()
	if got := w.next(plain, 1)[0]; got != "BOOKMARK @2" {
		t.Error(got)
	}
}

func TestAddAndRemoveResource(t *testing.T) {
	w := newWorld(t, nil)
	const widgets = "/registry/example.com/widgets/"
	w.create(widgets+"ns/old", pod("", "", 0))
	n, stop := 0, make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
				w.create(fmt.Sprintf("%sns/w%06d", widgets, n), pod("", "", n))
			}
		}
	})
	if err := w.cache.AddResource(t.Context(), Resource{Prefix: widgets, Index: index(widgets)}); err != nil {
		t.Fatal(err)
	}
	x := w.watch(widgets, w.cache.Revision(), nil, WatchOptions{})
	s0, _ := w.cache.Snapshot(widgets)
	close(stop)
	writer.Wait()
	w.fresh()
	if s, err := w.cache.Snapshot(widgets); err != nil || s.Len() != n+1 || s0.Len() > s.Len() {
		t.Fatalf("%d objects, want %d: %v", s.Len(), n+1, err)
	}
	w.cache.RemoveResource(widgets)
	for {
		if _, err := x.Next(t.Context()); err != nil {
			if !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
			break
		}
	}
	if _, err := w.cache.Snapshot(widgets); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
}

func TestCompactionHoleLoadsAnew(t *testing.T) {
	f := &flaky{Store: store.NewMemory(), every: 3, compacted: true}
	w := start(t, f, nil)
	x := w.watch(pods, 1, nil, WatchOptions{})
	for i := range 5 {
		w.create(fmt.Sprint(pods, "ns/", i), pod("", "", 0))
		w.fresh() // a batch of its own
	}
	for {
		if _, err := x.Next(t.Context()); err != nil {
			if !errors.Is(err, ErrExpired) {
				t.Fatal(err)
			}
			break
		}
	}
	s, err := w.cache.Snapshot(pods)
	if got := w.names(s, err); got != "0 1 2 3 4" {
		t.Fatal(got)
	}
}

func TestWatchSurvivesARestart(t *testing.T) {
	st := store.NewMemory()
	w := start(t, st, nil)
	w.create(pods+"ns/a", pod("", "a", 0))
	w.update(pods+"ns/a", pod("", "b", 0))
	w.remove(pods + "ns/a")
	w.create(nodes+"n", pod("", "", 0))
	w = start(t, st, nil)
	if w.cache.Revision() != 5 {
		t.Fatal(w.cache.Revision())
	}
	x := w.watch(pods, 2, nil, WatchOptions{})
	w.create(pods+"ns/c", pod("", "", 0))
	if got := fmt.Sprint(w.next(x, 3)); got != "[MODIFIED a@3 DELETED a@4 ADDED c@6]" {
		t.Fatal(got)
	}
	if s, err := w.cache.SnapshotAt(pods, 3); w.names(s, err) != "a" {
		t.Fatal("no state from before the start")
	}
}

func TestUnreadableObjectStaysVisible(t *testing.T) {
	w := newWorld(t, nil)
	w.create(pods+"ns/bad", []byte("not json"))
	w.fresh()
	if o, found := w.cache.Get(pods + "ns/bad"); !found || o.Err == nil || o.Name != "bad" || o.Namespace != "ns" {
		t.Fatalf("%+v", o)
	}
}

func TestFreshWithOtherWriters(t *testing.T) {
	st := store.NewMemory()
	w := start(t, st, func(c *Config) { c.SoleWriter = false })
	rev := w.rev(st.Create(t.Context(), "/elsewhere/x", nil, 0))
	if got := w.fresh(); got < rev {
		t.Fatal(got, rev)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.cache.WaitFor(ctx, rev+1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestMemoBudget(t *testing.T) {
	l := newLedger(10 * (100 + memoOverhead))
	render := func() ([]byte, error) { return make([]byte, 100), nil }
	objects := make([]*Object, 20)
	for i := range objects {
		objects[i] = &Object{ledger: l}
		if _, err := objects[i].Memo(1, render); err != nil {
			t.Fatal(err)
		}
	}
	if l.bytes > l.budget || len(l.ring) != 10 {
		t.Fatalf("%d bytes in %d memos", l.bytes, len(l.ring))
	}
	kept := slices.IndexFunc(objects, func(o *Object) bool { return o.memo(1) != nil })
	again, _ := objects[kept].Memo(1, func() ([]byte, error) { t.Error("rendered again"); return nil, nil })
	if len(again) != 100 {
		t.Fatal("lost")
	}
	l.sweep()
	if objects[kept].memo(1) == nil || len(l.ring) != 1 {
		t.Fatal("the sweep keeps what was used, and only that")
	}
	l.sweep()
	if l.bytes != 0 || l.armed {
		t.Fatal("an idle ledger holds", l.bytes)
	}
	l.stop()
}
