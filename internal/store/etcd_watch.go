package store

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// errWatchBroken is a watch that ended for a reason that says nothing about its revision: it can be taken up again.
var errWatchBroken = errors.New("watch broke off")

// Watch is in Store.
func (s *Etcd) Watch(ctx context.Context, prefix string, after int64, o WatchOptions, each func(Batch) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(after + 1), clientv3.WithProgressNotify()}
	if o.Prev {
		opts = append(opts, clientv3.WithPrevKV())
	}
	for r := range s.client.Watcher.Watch(ctx, prefix, opts...) {
		if err := r.Err(); err != nil {
			return s.watchFailure(ctx, prefix, r.CompactRevision, err)
		}
		b := toBatch(r)
		if b.Revision <= after && len(b.Events) == 0 {
			continue // the watch's creation, or progress that says nothing new
		}
		if len(b.Events) > 0 {
			s.keeper.wrote()
		}
		after = b.Revision
		if err := each(b); err != nil {
			return err
		}
	}
	return s.watchFailure(ctx, prefix, 0, errWatchBroken)
}

func (s *Etcd) watchFailure(ctx context.Context, prefix string, compacted int64, err error) error {
	switch {
	case s.closed.Load():
		err = ErrClosed
	case compacted != 0:
		err = fmt.Errorf("%w up to %d", ErrCompacted, compacted)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return s.failure("watch "+prefix, err)
}

// Progress is in Store.
func (s *Etcd) Progress(ctx context.Context) error {
	if err := s.client.Watcher.RequestProgress(ctx); err != nil {
		return s.failure("ask for progress", err)
	}
	return nil
}

// toBatch copies etcd's answer, whose revisions are whole. The header's revision may be ahead of a batch of history, so
// that only the last event's counts.
func toBatch(r clientv3.WatchResponse) Batch {
	b := Batch{Revision: r.Header.Revision}
	if n := len(r.Events); n > 0 {
		b.Events, b.Revision = make([]Event, n), r.Events[n-1].Kv.ModRevision
	}
	for i, e := range r.Events {
		b.Events[i].KV = toKV(e.Kv)
		switch {
		case e.Type == clientv3.EventTypeDelete:
			b.Events[i].Type = Deleted
		case e.IsModify():
			b.Events[i].Type = Updated
		}
		if e.PrevKv != nil {
			prev := toKV(e.PrevKv)
			b.Events[i].Prev = &prev
		}
	}
	return b
}
