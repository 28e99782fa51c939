package store

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The file is brought up to date once after the last write of many, at the latest after a while, and never without a write.
func TestCommitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the detector of races knows nothing of the order that the bubble's clock gives
		var at []time.Duration
		began := time.Now()
		c := newCommitter(nil)
		c.commit = func() {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.run(ctx) }()
		expect := func(what string, n int, within time.Duration) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(at) != n || n > 0 && time.Since(began)-at[n-1] > within {
				t.Fatalf("%s: commits at %v, now %v", what, at, time.Since(began))
			}
		}
		<-time.After(time.Minute)
		expect("nobody writes", 0, 0)
		for range 20 {
			c.wrote()
			<-time.After(c.calm / 2)
		}
		expect("writes go on", 0, 0)
		<-time.After(2 * c.calm)
		expect("calm after writes", 1, 2*c.calm)
		<-time.After(time.Minute)
		expect("rest", 1, 2*time.Minute)
		for range 110 {
			c.wrote()
			<-time.After(c.most / 100)
		}
		expect("a steady load", 2, c.most/5)
		<-time.After(2 * c.calm)
		expect("its end", 3, 2*c.calm)
		cancel()
		<-ended
	})
}
