package store

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	leaseObjects  = 1000        // keys under one lease, so that its end is no avalanche
	leaseSlackMax = time.Minute // how much longer than asked a key may live
)

// leases shares one etcd lease between keys that expire at about the same time: an Event each needs no lease each.
type leases struct {
	grant func(ctx context.Context, seconds int64) (clientv3.LeaseID, error)
	now   func() time.Time

	mu    sync.Mutex
	byTTL map[time.Duration]*lease
}

type lease struct {
	id      clientv3.LeaseID
	expires time.Time
	uses    int
}

// forTTL returns a lease that ends not before ttl from now and not much later; 0 for a ttl of 0.
func (l *leases) forTTL(ctx context.Context, ttl time.Duration) (clientv3.LeaseID, error) {
	if ttl <= 0 {
		return clientv3.NoLease, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if c := l.byTTL[ttl]; c != nil && c.uses < leaseObjects && !c.expires.Before(now.Add(ttl)) {
		c.uses++
		return c.id, nil
	}
	seconds := int64((ttl + slack(ttl) + time.Second - 1) / time.Second)
	id, err := l.grant(ctx, seconds)
	if err != nil {
		return 0, err
	}
	l.keep(ttl, &lease{id: id, expires: now.Add(time.Duration(seconds) * time.Second), uses: 1}, now)
	return id, nil
}

// slack is 5 % of the lifetime, between a second and a minute.
func slack(ttl time.Duration) time.Duration {
	return min(max(ttl/20, time.Second), leaseSlackMax)
}

func (l *leases) keep(ttl time.Duration, c *lease, now time.Time) {
	if l.byTTL == nil {
		l.byTTL = map[time.Duration]*lease{}
	}
	for t, old := range l.byTTL {
		if old.expires.Before(now) {
			delete(l.byTTL, t)
		}
	}
	l.byTTL[ttl] = c
}

// forget drops a lease that turned out to be gone.
func (l *leases) forget(id clientv3.LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t, c := range l.byTTL {
		if c.id == id {
			delete(l.byTTL, t)
		}
	}
}
