package storetest

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

const pods = "/registry/pods/"

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func writeAndRead(t *testing.T, s store.Store) {
	ctx, rev := t.Context(), must[int64](t)
	r1 := rev(s.Create(ctx, pods+"a/x", []byte("1"), 0))
	r2 := rev(s.Update(ctx, pods+"a/x", []byte("2"), r1, 0))
	kv, found, now, err := s.Get(ctx, pods+"a/x")
	if err != nil || !found || string(kv.Value) != "2" || kv.CreateRevision != r1 || kv.ModRevision != r2 || now < r2 || r2 != r1+1 {
		t.Fatalf("got %+v %v at %d: %v", kv, found, now, err)
	}
	r3 := rev(s.Delete(ctx, pods+"a/x", r2))
	if _, found, now, _ := s.Get(ctx, pods+"a/x"); found || now != r3 {
		t.Fatalf("found %v at %d after the deletion at %d", found, now, r3)
	}
	if r := rev(s.Revision(ctx)); r != r3 {
		t.Fatalf("revision %d, want %d", r, r3)
	}
	rev(s.Create(ctx, pods+"a/x", []byte("3"), 0))
	rev(s.Update(ctx, pods+"a/x", []byte("4"), store.AnyRevision, 0))
	rev(s.Delete(ctx, pods+"a/x", store.AnyRevision))
}

func conflicts(t *testing.T, s store.Store) {
	ctx := t.Context()
	r1 := must[int64](t)(s.Create(ctx, pods+"a/x", []byte("1"), 0))
	r2 := must[int64](t)(s.Create(ctx, pods+"a/y", nil, 0))
	at, err := s.Create(ctx, pods+"a/x", []byte("2"), 0)
	wants(t, err, store.ErrExists)
	if at != r2 {
		t.Fatalf("refused at revision %d, want %d", at, r2)
	}
	for name, write := range map[string]func(key string, expect int64) (int64, error){
		"update": func(key string, expect int64) (int64, error) { return s.Update(ctx, key, nil, expect, 0) },
		"delete": func(key string, expect int64) (int64, error) { return s.Delete(ctx, key, expect) },
	} {
		at, err := write(pods+"a/x", r1+7)
		if at != r2 {
			t.Fatalf("%s: refused at revision %d, want %d", name, at, r2)
		}
		var c *store.ConflictError
		if !errors.As(err, &c) || !c.Found || c.Current.ModRevision != r1 || string(c.Current.Value) != "1" || errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%s: %v %+v", name, err, c)
		}
		for _, expect := range []int64{r1, store.AnyRevision} {
			_, err = write(pods+"a/none", expect)
			if !errors.As(err, &c) || c.Found {
				t.Fatalf("%s of a missing key: %v", name, err)
			}
			wants(t, err, store.ErrNotFound)
		}
	}
}

func fill(t *testing.T, s store.Store, n int) (last int64) {
	for i := range n {
		last = must[int64](t)(s.Create(t.Context(), fmt.Sprintf("%sns/p%03d", pods, i), fmt.Appendf(nil, "v%d", i), 0))
	}
	return last
}

func keys(kvs []store.KV) []string {
	out := make([]string, len(kvs))
	for i, kv := range kvs {
		out[i] = kv.Key
	}
	return out
}

func pages(t *testing.T, s store.Store) {
	ctx := t.Context()
	must[int64](t)(s.Create(ctx, "/registry/podsecurity/x", nil, 0))
	rev := fill(t, s, 10)
	var got []string
	o := store.ListOptions{Limit: 4}
	for {
		p := must[store.Page](t)(s.List(ctx, pods, o))
		if p.Revision != rev || p.More != (p.Remaining > 0) || len(got)+len(p.KVs)+int(p.Remaining) != 10 {
			t.Fatalf("page %+v after %d keys", p, len(got))
		}
		got = append(got, keys(p.KVs)...)
		if !p.More {
			break
		}
		must[int64](t)(s.Delete(ctx, pods+fmt.Sprintf("ns/p%03d", 9-len(got)/4), 0))
		o.Revision, o.From = p.Revision, got[len(got)-1]+"\x00"
	}
	if len(got) != 10 || !slices.IsSorted(got) {
		t.Fatalf("pages have %v", got)
	}
	if p := must[store.Page](t)(s.List(ctx, pods, store.ListOptions{From: pods + "zzz"})); len(p.KVs) != 0 {
		t.Fatalf("behind the last key: %v", keys(p.KVs))
	}
	if p := must[store.Page](t)(s.List(ctx, pods, store.ListOptions{From: "/zzz"})); len(p.KVs) != 0 || p.Revision == 0 {
		t.Fatalf("behind the prefix: %+v", p)
	}
}

func listAtRevision(t *testing.T, s store.Store) {
	ctx := t.Context()
	rev := fill(t, s, 3)
	must[int64](t)(s.Update(ctx, pods+"ns/p000", []byte("new"), 0, 0))
	must[int64](t)(s.Delete(ctx, pods+"ns/p001", 0))
	now := must[int64](t)(s.Create(ctx, pods+"ns/p009", nil, 0))
	p := must[store.Page](t)(s.List(ctx, pods, store.ListOptions{Revision: rev}))
	if len(p.KVs) != 3 || string(p.KVs[0].Value) != "v0" || p.Revision != rev {
		t.Fatalf("at %d: %+v", rev, p)
	}
	_, err := s.List(ctx, pods, store.ListOptions{Revision: now + 1})
	wants(t, err, store.ErrFutureRevision)
}

// collect watches until n events have come and returns them and the error with which the watch ended.
func collect(t *testing.T, s store.Store, after int64, n int) []store.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var events []store.Event
	enough := errors.New("enough")
	last := after
	err := s.Watch(ctx, pods, after, store.WatchOptions{Prev: true}, func(b store.Batch) error {
		for _, e := range b.Events {
			if e.KV.ModRevision <= last || e.KV.ModRevision > b.Revision {
				return fmt.Errorf("revision %d after %d in a batch up to %d", e.KV.ModRevision, last, b.Revision)
			}
			last = e.KV.ModRevision
		}
		if events = append(events, b.Events...); len(events) >= n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("after %d of %d events: %v", len(events), n, err)
	}
	return events
}

func watchInOrder(t *testing.T, s store.Store) {
	start := must[int64](t)(s.Revision(t.Context()))
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range 50 {
			key := fmt.Sprintf("%sns/p%d", pods, i%5)
			if _, err := s.Create(t.Context(), key, nil, 0); err != nil {
				_, _ = s.Update(t.Context(), key, fmt.Append(nil, i), 0, 0)
			}
			_, _ = s.Create(t.Context(), fmt.Sprint("/registry/other/", i), nil, 0)
		}
	})
	events := collect(t, s, start, 50)
	wait.Wait()
	for i, e := range events {
		if want := fmt.Sprintf("%sns/p%d", pods, i%5); e.KV.Key != want || (e.Type == store.Created) != (i < 5) {
			t.Fatalf("event %d is %+v, want key %s", i, e, want)
		}
	}
}

func watchHistory(t *testing.T, s store.Store) {
	ctx, rev := t.Context(), must[int64](t)
	start := rev(s.Revision(ctx))
	rev(s.Create(ctx, pods+"a/x", []byte("1"), 0))
	rev(s.Update(ctx, pods+"a/x", []byte("2"), 0, 0))
	rev(s.Delete(ctx, pods+"a/x", 0))
	e := collect(t, s, start, 3)
	if e[0].Type != store.Created || e[0].Prev != nil || e[1].Type != store.Updated || string(e[1].Prev.Value) != "1" ||
		e[2].Type != store.Deleted || string(e[2].Prev.Value) != "2" || len(e[2].KV.Value) != 0 || e[2].KV.ModRevision != start+3 {
		t.Fatalf("events %+v", e)
	}
	if e := collect(t, s, start+2, 1); e[0].Type != store.Deleted {
		t.Fatalf("the watch after %d began with %+v", start+2, e[0])
	}
}

// progressOfThePast begins watches at old revisions while others ask for progress, as they do whose reads wait: no watch may be told
// that it has come to a revision before it was told of the writes up to there.
func progressOfThePast(t *testing.T, s store.Store) {
	from := must[int64](t)(s.Revision(t.Context()))
	now := fill(t, s, 8)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	wait.Go(func() { // the usual one, which is always up to date
		_ = s.Watch(ctx, pods, now, store.WatchOptions{}, func(store.Batch) error { return nil })
	})
	for range 4 {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := s.Progress(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	enough := errors.New("enough")
	var past sync.WaitGroup
	defer past.Wait()
	for range 16 {
		past.Go(func() {
			n := 0
			err := s.Watch(ctx, pods, from, store.WatchOptions{Prev: true}, func(b store.Batch) error {
				if n += len(b.Events); b.Revision >= now {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) || n != 8 {
				t.Errorf("at the present after %d of 8 writes: %v", n, err)
			}
		})
	}
}

func compaction(t *testing.T, s store.Store) {
	ctx, rev := t.Context(), must[int64](t)
	first := rev(s.Create(ctx, pods+"a/x", []byte("1"), 0))
	for range 5 {
		rev(s.Update(ctx, pods+"a/x", nil, 0, 0))
	}
	now := rev(s.Revision(ctx))
	if err := s.Compact(ctx, now-1); err != nil {
		t.Fatal(err)
	}
	if f := s.Floor(); f != now-1 {
		t.Errorf("floor %d after a compaction to %d", f, now-1)
	}
	wants(t, s.Compact(ctx, now-1), store.ErrCompacted)
	wants(t, s.Compact(ctx, now+1), store.ErrFutureRevision)
	_, err := s.List(ctx, pods, store.ListOptions{Revision: first})
	wants(t, err, store.ErrCompacted)
	wants(t, s.Watch(ctx, pods, first-1, store.WatchOptions{}, func(store.Batch) error { return nil }), store.ErrCompacted)
	if p := must[store.Page](t)(s.List(ctx, pods, store.ListOptions{Revision: now - 1})); len(p.KVs) != 1 || p.KVs[0].ModRevision != now-1 {
		t.Fatalf("at the compacted revision: %+v", p)
	}
	if e := collect(t, s, now-1, 1); e[0].Prev == nil || e[0].Prev.ModRevision != now-1 {
		t.Fatalf("after the compacted revision: %+v", e)
	}
}

func lifetime(t *testing.T, s store.Store) {
	ctx, rev := t.Context(), must[int64](t)
	start := rev(s.Revision(ctx))
	rev(s.Create(ctx, pods+"a/short", []byte("1"), time.Second))
	rev(s.Create(ctx, pods+"a/kept", []byte("1"), time.Second))
	rev(s.Update(ctx, pods+"a/kept", []byte("2"), 0, 0))
	if kv, _, _, _ := s.Get(ctx, pods+"a/short"); kv.Lease == 0 {
		t.Fatalf("no lease: %+v", kv)
	}
	e := collect(t, s, start, 4)
	if last := e[3]; last.Type != store.Deleted || last.KV.Key != pods+"a/short" || last.Prev == nil {
		t.Fatalf("last event is %+v", last)
	}
	if kv, found, _, _ := s.Get(ctx, pods+"a/kept"); !found || kv.Lease != 0 {
		t.Fatalf("the key without a lifetime is %+v, found %v", kv, found)
	}
}

func concurrent(t *testing.T, s store.Store) {
	ctx := t.Context()
	must[int64](t)(s.Create(ctx, pods+"a/count", []byte{0}, 0))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for done := 0; done < 25; {
				kv, _, _, err := s.Get(ctx, pods+"a/count")
				if err != nil {
					t.Error(err)
					return
				}
				var c *store.ConflictError
				_, err = s.Update(ctx, kv.Key, []byte{kv.Value[0] + 1}, kv.ModRevision, 0)
				for errors.As(err, &c) {
					_, err = s.Update(ctx, kv.Key, []byte{c.Current.Value[0] + 1}, c.Current.ModRevision, 0)
				}
				if err != nil {
					t.Error(err)
					return
				}
				done++
			}
		})
	}
	wait.Wait()
	if kv, _, _, _ := s.Get(ctx, pods+"a/count"); kv.Value[0] != 200 {
		t.Fatalf("counted %d, want 200", kv.Value[0])
	}
}

func tooLarge(t *testing.T, s store.Store) {
	_, err := s.Create(t.Context(), pods+"a/x", []byte(strings.Repeat("x", store.MaxValueBytes)), 0)
	wants(t, err, store.ErrTooLarge)
	must[int64](t)(s.Create(t.Context(), pods+"a/x", make([]byte, store.MaxValueBytes-1000), 0))
}

func closing(t *testing.T, s store.Store) {
	at := must[int64](t)(s.Create(t.Context(), pods+"a/x", nil, 0))
	started, ended := make(chan struct{}, 1), make(chan error, 1)
	var wait sync.WaitGroup
	wait.Go(func() {
		ended <- s.Watch(context.WithoutCancel(t.Context()), pods, at-1, store.WatchOptions{}, func(store.Batch) error {
			started <- struct{}{}
			return nil
		})
	})
	<-started
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	wants(t, <-ended, store.ErrClosed)
	_, err := s.Revision(t.Context())
	wants(t, err, store.ErrClosed)
	_, err = s.Create(t.Context(), pods+"a/y", nil, 0)
	wants(t, err, store.ErrClosed)
	if err := s.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
}
