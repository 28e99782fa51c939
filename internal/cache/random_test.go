package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/internal/store"
)

// TestRandomWritersAndWatchers lets writers and watchers run against each other, over a store whose watch breaks often, and
// then checks each watcher's history: every revision once, in order, and list + watch = the final state.
func TestRandomWritersAndWatchers(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			st := store.NewMemory()
			w := start(t, &flaky{Store: st, every: 40}, nil)
			var writers, readers sync.WaitGroup
			done := make(chan struct{})
			for i := range 4 {
				writers.Go(func() { writeAtRandom(w, rand.New(rand.NewPCG(seed, uint64(i))), 200) })
			}
			for i := range 12 {
				readers.Go(func() { followAndCheck(w, i, done) })
			}
			writers.Wait()
			w.fresh()
			close(done)
			readers.Wait()
		})
	}
}

func writeAtRandom(w *world, r *rand.Rand, n int) {
	for i := range n {
		key := fmt.Sprintf("%sns%d/p%d", pods, r.IntN(3), r.IntN(8))
		value := pod(fmt.Sprint("n", r.IntN(3)), fmt.Sprint("app", r.IntN(2)), i)
		var err error
		switch r.IntN(4) {
		case 0:
			_, err = w.st.Delete(w.Context(), key, 0)
		case 1:
			_, err = w.st.Create(w.Context(), key, value, 0)
		default:
			_, err = w.st.Update(w.Context(), key, value, 0, 0)
		}
		if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrNotFound) {
			w.Error(err)
		}
		if r.IntN(10) == 0 {
			if _, err := w.cache.Fresh(w.Context()); err != nil {
				w.Error(err)
			}
		}
	}
}

// shape i is one way to watch: all, a namespace, a node by index, a filter, with or without the initial state.
func shape(i int) (prefix string, opts WatchOptions, filter, belongs func(*Object) bool) {
	prefix, belongs = pods, func(*Object) bool { return true }
	switch i % 4 {
	case 1:
		prefix = pods + "ns1/"
		belongs = func(o *Object) bool { return o.Namespace == "ns1" }
	case 2:
		opts.Field, opts.Value = "spec.nodeName", "n1"
		belongs = func(o *Object) bool { return o.Fields.Get("spec.nodeName") == "n1" }
	case 3:
		filter = isApp("app1")
		belongs = filter
	}
	opts.SendInitial, opts.Bookmarks = i%2 == 0, i%3 == 0
	return prefix, opts, filter, belongs
}

func followAndCheck(w *world, i int, done <-chan struct{}) {
	prefix, opts, filter, belongs := shape(i)
	state := map[string]int64{}
	snap, err := w.cache.Snapshot(pods)
	if err != nil {
		w.Error(err)
		return
	}
	last := snap.Revision()
	if !opts.SendInitial {
		snap.Ascend("", func(o *Object) bool {
			if belongs(o) {
				state[o.Key] = o.Revision
			}
			return true
		})
	}
	x, err := w.cache.Watch(w.Context(), prefix, last, filter, opts)
	if err != nil {
		w.Error(err)
		return
	}
	defer x.Close()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { <-done; x.AskBookmark() })
	for {
		events, err := x.Next(ctx)
		if err != nil {
			w.Errorf("watcher %d at %d, cache at %d: %v", i, last, w.cache.Revision(), err)
			return
		}
		for _, e := range events {
			if bad := step(state, e, &last, opts); bad != "" {
				w.Errorf("watcher %d: %s in %s", i, bad, show(e))
				return
			}
			select {
			case <-done:
				if e.Type == Bookmark && !e.InitialEnd && e.Revision == w.cache.Revision() {
					compare(w, i, state, belongs)
					return
				}
			default:
			}
		}
	}
}

// step applies an event to the watcher's own copy and says what is wrong with it.
func step(state map[string]int64, e Event, last *int64, opts WatchOptions) string {
	if e.Type == Bookmark {
		if e.Revision < *last {
			return fmt.Sprintf("bookmark behind %d", *last)
		}
		*last = e.Revision
		return ""
	}
	initial := opts.SendInitial && e.Type == Added && e.Revision <= *last
	if !initial && e.Revision <= *last {
		return fmt.Sprintf("revision not above %d", *last)
	}
	if e.Object.Revision != e.Revision {
		return "object at another revision"
	}
	_, known := state[e.Object.Key]
	if known != (e.Type != Added) {
		return fmt.Sprintf("known before: %v", known)
	}
	if e.Type == Deleted {
		delete(state, e.Object.Key)
	} else {
		state[e.Object.Key] = e.Revision
	}
	if !initial {
		*last = e.Revision
	}
	return ""
}

func compare(w *world, i int, state map[string]int64, belongs func(*Object) bool) {
	want := map[string]int64{}
	s, err := w.cache.Snapshot(pods)
	if err != nil {
		w.Error(err)
		return
	}
	s.Ascend("", func(o *Object) bool {
		if belongs(o) {
			want[o.Key] = o.Revision
		}
		return true
	})
	if got, want := fmt.Sprint(state), fmt.Sprint(want); got != want {
		w.Errorf("watcher %d has\n%s, the cache\n%s", i, strings.ReplaceAll(got, " ", "\n"), strings.ReplaceAll(want, " ", "\n"))
	}
}
