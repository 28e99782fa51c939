package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// errWatchBroken is a watch that ended for a reason that says nothing about its revision: it can be taken up again.
var errWatchBroken = errors.New("watch broke off")

// streams are the watches at work, each on a stream of its own to etcd.
//
// etcd answers a question for progress for all watches of a stream at once, and can send an answer that it made before a
// watch was there after that watch has begun: the watch would be told that it has come to a revision before it was told of the
// writes up to there. So no stream has two watches, and it is asked only once its watch has begun.
type streams struct {
	mu   sync.RWMutex
	last int64
	open map[int64]func(context.Context) error // how to ask for progress
}

// streamKey is metadata that tells streams apart. etcd's client keeps one for each set of metadata.
const streamKey = "minato-watch"

func onStream(ctx context.Context, id int64) context.Context {
	return metadata.AppendToOutgoingContext(ctx, streamKey, strconv.FormatInt(id, 10))
}

func (t *streams) next() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return t.last
}

func (t *streams) begun(id int64, ask func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[int64]func(context.Context) error{}
	}
	t.open[id] = ask
}

func (t *streams) ended(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
}

// Watch is in Store.
func (s *Etcd) Watch(ctx context.Context, prefix string, after int64, o WatchOptions, each func(Batch) error) error {
	if s.member != nil && !o.Prev {
		return s.watchMember(ctx, prefix, after, func(b Batch) error {
			if len(b.Events) > 0 {
				s.keeper.wrote()
			}
			return each(b)
		})
	}
	id := s.streams.next()
	ctx, cancel := context.WithCancel(onStream(ctx, id))
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(after + 1), clientv3.WithProgressNotify()}
	if o.Prev {
		opts = append(opts, clientv3.WithPrevKV())
	}
	answers := s.client.Watcher.Watch(ctx, prefix, opts...) // returns when etcd has it
	s.streams.begun(id, func(ctx context.Context) error { return s.client.Watcher.RequestProgress(onStream(ctx, id)) })
	defer s.streams.ended(id) // before the stream goes: a question would open it again
	for r := range answers {
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
	s.streams.mu.RLock()
	defer s.streams.mu.RUnlock()
	for _, ask := range s.streams.open {
		if err := ask(ctx); err != nil {
			return s.failure("ask for progress", err)
		}
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
		b.Events[i] = eventOf((*mvccpb.Event)(e))
		if e.PrevKv != nil {
			prev := toKV(e.PrevKv)
			b.Events[i].Prev = &prev
		}
	}
	return b
}
