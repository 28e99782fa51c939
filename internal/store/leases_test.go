package store

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestLeasesAreShared(t *testing.T) {
	now, granted := time.Unix(0, 0), []int64{}
	l := &leases{now: func() time.Time { return now }, grant: func(_ context.Context, seconds int64) (clientv3.LeaseID, error) {
		granted = append(granted, seconds)
		return clientv3.LeaseID(len(granted)), nil
	}}
	ask := func(ttl time.Duration) clientv3.LeaseID {
		t.Helper()
		id, err := l.forTTL(t.Context(), ttl)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if ask(0) != clientv3.NoLease || ask(time.Hour) != 1 {
		t.Fatal(granted)
	}
	for range leaseObjects - 1 {
		now = now.Add(50 * time.Millisecond)
		if ask(time.Hour) != 1 {
			t.Fatal("no reuse after", now.Unix(), granted)
		}
	}
	if ask(time.Hour) != 2 || ask(time.Minute) != 3 || ask(time.Hour) != 2 {
		t.Fatal("a full lease, or another lifetime, needs one more", granted)
	}
	now = now.Add(61 * time.Second)
	if ask(time.Hour) != 4 {
		t.Fatal("the old lease would end too early")
	}
	l.forget(4)
	if ask(time.Hour) != 5 || granted[0] != 3660 || granted[2] != 63 {
		t.Fatal(granted)
	}
	l.grant = func(context.Context, int64) (clientv3.LeaseID, error) { return 0, errors.ErrUnsupported }
	if _, err := l.forTTL(t.Context(), time.Second); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
}
