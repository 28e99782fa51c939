package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	compactEvery = 5 * time.Minute
	// A file is rewritten (defrag) when it is that much larger than its content and at least twice as large.
	defragWaste = 64 << 20
	// askTimeout bounds one order of the keeper to etcd.
	askTimeout = 30 * time.Second
)

// keeper forgets old history and gives space back. It sleeps while nobody writes:
//
//	asleep --first write--> armed --interval--> compact to the mark of one interval ago, mark now
//	                          ^  \-- there were writes since --/
//	asleep <-- no writes: compact to the last mark, defragment where worth it
type keeper struct {
	store *Etcd
	every time.Duration
	wake  chan struct{} // holds one token after a write

	mark    int64 // revision at the last round; what is older than it goes in the next
	space   sync.Mutex
	spaceAt time.Time   // of the last makeRoom
	helped  atomic.Bool // a write succeeded because of it
}

func newKeeper(s *Etcd, every time.Duration) *keeper {
	return &keeper{store: s, every: every, wake: make(chan struct{}, 1)}
}

// wrote tells that there is new history. It is on the path of every write: one failed send when told already.
func (k *keeper) wrote() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run(ctx context.Context) error {
	timer := time.NewTimer(k.every)
	timer.Stop()
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		for busy := true; busy; {
			timer.Reset(k.every)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			k.drain()
			busy = k.round(ctx)
		}
	}
}

func (k *keeper) drain() {
	select {
	case <-k.wake:
	default:
	}
}

// round does what one interval asks for and says whether there were writes since the last.
func (k *keeper) round(ctx context.Context) (busy bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	now, err := k.store.Revision(ctx)
	if err != nil {
		k.complain(ctx, "read the revision", err)
		return true
	}
	if k.mark > 0 {
		if err := k.store.Compact(ctx, k.mark); err != nil && !errors.Is(err, ErrCompacted) {
			k.complain(ctx, "compact", err)
		}
	}
	busy, k.mark = now != k.mark, now
	if !busy {
		k.defrag(ctx, false)
	}
	k.store.readThrough()
	return busy
}

func (k *keeper) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		k.store.log.Warn("store upkeep failed, will try again", "step", what, "err", err)
	}
}

// defrag rewrites the database file of each member where that gives back enough, or always.
func (k *keeper) defrag(ctx context.Context, always bool) {
	for _, endpoint := range k.endpoints() {
		st, err := k.store.client.Maintenance.Status(ctx, endpoint)
		if err != nil {
			k.complain(ctx, "status", err)
			continue
		}
		waste := st.DbSize - st.DbSizeInUse
		if !always && (waste < defragWaste || waste < st.DbSizeInUse) {
			continue
		}
		if _, err := k.store.client.Maintenance.Defragment(ctx, endpoint); err != nil {
			k.complain(ctx, "defragment", err)
			continue
		}
		k.store.log.Info("store gave back space", "bytes", waste)
	}
}

// endpoints are the members by their addresses; the member of this process has none.
func (k *keeper) endpoints() []string {
	if e := k.store.client.Endpoints(); len(e) > 0 {
		return e
	}
	return []string{""}
}

// makeRoom gives up history to free space and lifts etcd's no-space alarm; it says whether a write is worth another try.
// Writers that hit the quota together share one round.
func (k *keeper) makeRoom(ctx context.Context) bool {
	asked := time.Now()
	k.space.Lock()
	defer k.space.Unlock()
	if k.spaceAt.After(asked) {
		return true
	}
	if !k.helped.Swap(false) && time.Since(k.spaceAt) < time.Minute {
		return false // it did not help a moment ago
	}
	k.store.log.Warn("store is full: giving up history")
	k.forgetAll(ctx)
	k.defrag(ctx, true)
	err := k.disarm(ctx)
	if err != nil {
		k.complain(ctx, "disarm alarm", err)
	}
	k.spaceAt = time.Now()
	return err == nil
}

// forgetAll compacts up to now and returns when the space is free in the file.
func (k *keeper) forgetAll(ctx context.Context) {
	now, err := k.store.Revision(ctx)
	if err == nil {
		err = k.store.compact(ctx, now, clientv3.WithCompactPhysical())
	}
	if err != nil && !errors.Is(err, ErrCompacted) {
		k.complain(ctx, "compact", err)
	}
}

// disarm lifts the no-space alarm of each member that raised it; an alarm about corruption stays.
func (k *keeper) disarm(ctx context.Context) error {
	list, err := k.store.client.Maintenance.AlarmList(ctx)
	if err != nil {
		return err
	}
	for _, a := range list.Alarms {
		if a.Alarm != etcdserverpb.AlarmType_NOSPACE {
			continue
		}
		if _, err := k.store.client.Maintenance.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			return err
		}
	}
	return nil
}
