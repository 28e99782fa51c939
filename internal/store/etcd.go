package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"google.golang.org/grpc/codes"

	"minato.dev/minato/internal/run"
)

// Etcd is a Store in etcd, in this process (Open) or elsewhere (Dial).
type Etcd struct {
	client    *clientv3.Client
	member    mvcc.WatchableKV // nil where etcd is elsewhere
	scope     *run.Scope
	log       *slog.Logger
	leases    *leases
	keeper    *keeper
	disk      *disk // nil where etcd is elsewhere, as the committer
	committer *committer
	streams   streams
	closed    atomic.Bool
	floor     atomic.Int64 // see Floor

	beforeClose func()
	release     func() error // frees what Open took
	readThrough func()       // called when much of the database has been read, which will not be read again soon
}

var _ Store = (*Etcd)(nil)

func newEtcd(client *clientv3.Client, scope *run.Scope, log *slog.Logger) *Etcd {
	s := &Etcd{client: client, scope: scope, log: log, beforeClose: func() {}, release: func() error { return nil }, readThrough: func() {}}
	s.leases = &leases{grant: s.grant, now: time.Now}
	s.keeper = newKeeper(s, compactEvery)
	scope.Go("store keeper", s.keeper.run)
	return s
}

// Get is in Store.
func (s *Etcd) Get(ctx context.Context, key string) (KV, bool, int64, error) {
	r, err := s.client.KV.Get(ctx, key)
	if err != nil {
		return KV{}, false, 0, s.failure("get "+key, err)
	}
	if len(r.Kvs) == 0 {
		return KV{}, false, r.Header.Revision, nil
	}
	return toKV(r.Kvs[0]), true, r.Header.Revision, nil
}

// List is in Store.
func (s *Etcd) List(ctx context.Context, prefix string, o ListOptions) (Page, error) {
	from := max(prefix, o.From)
	end := clientv3.GetPrefixRangeEnd(prefix)
	if end != "\x00" && from >= end {
		return s.emptyPage(ctx, o.Revision)
	}
	r, err := s.client.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(o.Revision), clientv3.WithLimit(int64(o.Limit)))
	if err != nil {
		return Page{}, s.failure("list "+prefix, err)
	}
	p := Page{KVs: make([]KV, len(r.Kvs)), Revision: o.Revision, More: r.More}
	for i, kv := range r.Kvs {
		p.KVs[i] = toKV(kv)
	}
	if p.Revision == 0 {
		p.Revision = r.Header.Revision
	}
	if r.More {
		p.Remaining = r.Count - int64(len(r.Kvs))
	} else if o.From != "" {
		s.readThrough()
	}
	return p, nil
}

// emptyPage is a page behind the prefix's last key.
func (s *Etcd) emptyPage(ctx context.Context, revision int64) (Page, error) {
	now, err := s.Revision(ctx)
	if revision != 0 {
		now = revision
	}
	return Page{Revision: now}, err
}

// Create is in Store.
func (s *Etcd) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (int64, error) {
	r, err := s.write(ctx, "create", key, value, ttl, func(put clientv3.Op) clientv3.Txn {
		return s.client.KV.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(put)
	})
	if err != nil {
		return 0, err
	}
	if !r.Succeeded {
		return r.Header.Revision, fmt.Errorf("create %s: %w", key, ErrExists)
	}
	return r.Header.Revision, nil
}

// Update is in Store.
func (s *Etcd) Update(ctx context.Context, key string, value []byte, expect int64, ttl time.Duration) (int64, error) {
	r, err := s.write(ctx, "update", key, value, ttl, func(put clientv3.Op) clientv3.Txn {
		return s.client.KV.Txn(ctx).If(isAt(key, expect)).Then(put).Else(clientv3.OpGet(key))
	})
	if err != nil {
		return 0, err
	}
	return settled(r, key, expect)
}

// Delete is in Store.
func (s *Etcd) Delete(ctx context.Context, key string, expect int64) (int64, error) {
	r, err := s.client.KV.Txn(ctx).If(isAt(key, expect)).Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return 0, s.failure("delete "+key, err)
	}
	s.wrote()
	return settled(r, key, expect)
}

// write commits a transaction with a put, under a lease where the value is to expire, and makes room once where the
// store is full.
func (s *Etcd) write(ctx context.Context, verb, key string, value []byte, ttl time.Duration, txn func(put clientv3.Op) clientv3.Txn) (*clientv3.TxnResponse, error) {
	if len(key)+len(value) > MaxValueBytes {
		return nil, fmt.Errorf("%s %s: %d bytes: %w", verb, key, len(value), ErrTooLarge)
	}
	if err := s.disk.room(time.Now()); err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, key, err)
	}
	for attempt := 0; ; attempt++ {
		lease, err := s.leases.forTTL(ctx, ttl)
		if err != nil {
			return nil, s.failure(verb+" "+key, err)
		}
		r, err := txn(clientv3.OpPut(key, string(value), clientv3.WithLease(lease))).Commit()
		switch {
		case err == nil:
			if s.wrote(); attempt > 0 {
				s.keeper.helped.Store(true)
			}
			return r, nil
		case attempt > 0:
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			s.leases.forget(lease) // it expired, or another client revoked it
			continue
		case errors.Is(err, rpctypes.ErrNoSpace) && s.keeper.makeRoom(ctx):
			continue
		}
		return nil, s.failure(verb+" "+key, err)
	}
}

func isAt(key string, expect int64) clientv3.Cmp {
	if expect == AnyRevision {
		return clientv3.Compare(clientv3.ModRevision(key), ">", 0)
	}
	return clientv3.Compare(clientv3.ModRevision(key), "=", expect)
}

// settled turns the answer of a conditional write into its revision, or the conflict and that of the state.
func settled(r *clientv3.TxnResponse, key string, expect int64) (int64, error) {
	if r.Succeeded {
		return r.Header.Revision, nil
	}
	c := &ConflictError{Key: key, Expect: expect}
	if kvs := r.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		c.Current, c.Found = toKV(kvs[0]), true
	}
	return r.Header.Revision, c
}

// Revision is in Store.
func (s *Etcd) Revision(ctx context.Context) (int64, error) {
	r, err := s.client.KV.Get(ctx, "/", clientv3.WithCountOnly())
	if err != nil {
		return 0, s.failure("read the revision", err)
	}
	return r.Header.Revision, nil
}

// Compact is in Store.
func (s *Etcd) Compact(ctx context.Context, revision int64) error {
	return s.compact(ctx, revision)
}

func (s *Etcd) compact(ctx context.Context, revision int64, o ...clientv3.CompactOption) error {
	if _, err := s.client.KV.Compact(ctx, revision, o...); err != nil {
		return s.failure("compact", err)
	}
	for was := s.floor.Load(); revision > was && !s.floor.CompareAndSwap(was, revision); was = s.floor.Load() {
	}
	return nil
}

// Floor is in Store.
func (s *Etcd) Floor() int64 { return s.floor.Load() }

// Close is in Store.
func (s *Etcd) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.beforeClose()
	s.scope.Stop()
	err := s.client.Close()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.scope.Wait(), s.release())
}

func (s *Etcd) grant(ctx context.Context, seconds int64) (clientv3.LeaseID, error) {
	r, err := s.client.Lease.Grant(ctx, seconds)
	if err != nil {
		return 0, err
	}
	return r.ID, nil
}

// failure gives etcd's error one of this package's identities.
func (s *Etcd) failure(what string, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		err = ErrCompacted
	case errors.Is(err, rpctypes.ErrFutureRev):
		err = ErrFutureRevision
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, syscall.ENOSPC):
		err = ErrNoSpace
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		err = ErrTooLarge
	case s.closed.Load(), errors.Is(err, rpctypes.ErrStopped):
		err = ErrClosed
	case unavailable(err):
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("store: %s: %w", what, err)
}

// unavailable says whether etcd, and not the caller, is why there is no answer.
func unavailable(err error) bool {
	var e rpctypes.EtcdError
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == codes.Unavailable || e.Code() == codes.DeadlineExceeded || e.Code() == codes.ResourceExhausted
}

func toKV(kv *mvccpb.KeyValue) KV {
	return KV{Key: string(kv.Key), Value: kv.Value, ModRevision: kv.ModRevision, CreateRevision: kv.CreateRevision, Lease: kv.Lease}
}

// sizePatience bounds the question for the size.
const sizePatience = 2 * time.Second

// Size is what the database file takes on the disk of the member asked first, in bytes.
func (s *Etcd) Size() (int64, error) {
	ctx, cancel := context.WithTimeout(s.scope.Context(), sizePatience)
	defer cancel()
	st, err := s.client.Maintenance.Status(ctx, s.keeper.endpoints()[0])
	if err != nil {
		return 0, err
	}
	return st.DbSize, nil
}
