package control

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func key(name string) Key { return Key{Name: name} }

func TestQueueHandsOutEachKeyOnce(t *testing.T) {
	q := newQueue()
	for _, n := range []string{"a", "b", "a", "a"} {
		q.add(key(n))
	}
	got := []string{}
	for range 2 {
		k, _ := q.get(t.Context())
		got = append(got, k.Name)
		q.done(k)
	}
	if got[0] != "a" || got[1] != "b" || len(q.ready) != 0 {
		t.Errorf("got %v, %d left; want a, b and none", got, len(q.ready))
	}
}

func TestQueueKeepsAKeyWithOneWorker(t *testing.T) {
	q := newQueue()
	q.add(key("a"))
	k, _ := q.get(t.Context())
	q.add(key("a")) // changed while it is being worked on
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := q.get(ctx); ok {
		t.Fatal("the key was handed out twice at once")
	}
	q.done(k)
	if again, ok := q.get(t.Context()); !ok || again != k {
		t.Error("the change during the work was lost")
	}
}

func TestQueueDelaysByOneTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.stop()
		start := time.Now()
		q.addAfter(key("late"), 3*time.Second)
		q.addAfter(key("early"), time.Second)
		for _, want := range []struct {
			name string
			at   time.Duration
		}{{"early", time.Second}, {"late", 3 * time.Second}} {
			k, _ := q.get(t.Context())
			if k.Name != want.name || time.Since(start) != want.at {
				t.Errorf("%s after %s, want %s after %s", k.Name, time.Since(start), want.name, want.at)
			}
			q.done(k)
		}
	})
}

func TestQueueKeepsOneDelayForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.stop()
		start := time.Now()
		q.addAfter(key("other"), 90*time.Second)
		for i := range 100 { // a node's signs of life, each of which moves its end
			q.addAfter(key("a"), time.Minute+time.Duration(i)*time.Second)
		}
		if q.later.Len() != 2 || len(q.waits) != 2 {
			t.Errorf("%d delays for two keys", q.later.Len())
		}
		q.addAfter(key("a"), time.Second)
		for _, want := range []struct {
			name string
			at   time.Duration
		}{{"a", time.Second}, {"other", 90 * time.Second}} {
			k, _ := q.get(t.Context())
			if k.Name != want.name || time.Since(start) != want.at {
				t.Errorf("%s after %s, want %s after %s", k.Name, time.Since(start), want.name, want.at)
			}
			q.done(k)
		}
		if q.later.Len() != 0 || len(q.waits) != 0 {
			t.Errorf("%d delays are left", q.later.Len())
		}
	})
}

func TestQueueBacksOff(t *testing.T) {
	q := newQueue()
	var waits []time.Duration
	for range 30 {
		waits = append(waits, q.failed(key("a")))
	}
	if waits[0] != 5*time.Millisecond || waits[1] != 10*time.Millisecond || waits[29] != 5*time.Minute {
		t.Errorf("waits %v", waits)
	}
	q.succeeded(key("a"))
	if w := q.failed(key("a")); w != 5*time.Millisecond {
		t.Errorf("after a success the first wait is %s", w)
	}
}

func TestTwoWritersOfOneThingAreRefused(t *testing.T) {
	err := checkWriters([]Controller{{Name: "a", Writes: []string{"x/status"}}, {Name: "b", Writes: []string{"x", "x/status"}}})
	if err == nil || err.Error() != "controllers a and b both write x/status" {
		t.Errorf("error %v", err)
	}
}
