package store

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// mostJoined bounds the answers that one Batch is made of.
const mostJoined = 64

// watchMember is Watch of the member in this process, past etcd's client: on its way through that an event changes goroutines
// five times, which at a few hundred writes a second is more than everything else that is done about it. What the member
// has sent meanwhile is delivered together.
func (s *Etcd) watchMember(ctx context.Context, prefix string, after int64, each func(Batch) error) error {
	stream := s.member.NewWatchStream()
	defer closeStream(stream)
	id, err := stream.Watch(ctx, clientv3.AutoWatchID, []byte(prefix), []byte(clientv3.GetPrefixRangeEnd(prefix)), after+1)
	if err != nil {
		return s.failure("watch "+prefix, err)
	}
	name := s.streams.next()
	s.streams.begun(name, func(context.Context) error { stream.RequestProgress(id); return nil })
	defer s.streams.ended(name)
	for {
		b, compacted, err := s.receive(ctx, stream)
		if err != nil {
			return s.watchFailure(ctx, prefix, compacted, err)
		}
		if b.Revision > after || len(b.Events) > 0 { // else it is progress that says nothing new
			after = b.Revision
			if err := each(b); err != nil {
				return err
			}
		}
		if compacted != 0 {
			return s.watchFailure(ctx, prefix, compacted, ErrCompacted)
		}
	}
}

// receive waits for an answer of the member and joins those that are behind it. With compacted, the watch cannot go on after it.
func (s *Etcd) receive(ctx context.Context, stream mvcc.WatchStream) (b Batch, compacted int64, err error) {
	var r mvcc.WatchResponse
	select {
	case r = <-stream.Chan():
	case <-ctx.Done():
		return b, 0, ctx.Err()
	case <-s.scope.Context().Done():
		return b, 0, ErrClosed
	}
	for joined := 1; ; joined++ {
		if r.CompactRevision != 0 {
			return b, r.CompactRevision, nil
		}
		b.add(r)
		if joined == mostJoined {
			return b, 0, nil
		}
		select {
		case r = <-stream.Chan():
		default:
			return b, 0, nil
		}
	}
}

// add takes one answer, whose revisions are whole. An answer's own revision may be ahead of a part of history, so that only its
// last event's counts.
func (b *Batch) add(r mvcc.WatchResponse) {
	n := len(r.Events)
	if n == 0 {
		b.Revision = max(b.Revision, r.Revision)
		return
	}
	mvcc.ReportEventReceived(n)
	b.Revision = r.Events[n-1].Kv.ModRevision
	for _, e := range r.Events {
		b.Events = append(b.Events, eventOf(e))
	}
}

func eventOf(e *mvccpb.Event) Event {
	out := Event{KV: toKV(e.Kv)}
	switch {
	case e.Type == mvccpb.Event_DELETE:
		out.Type = Deleted
	case e.Kv.CreateRevision != e.Kv.ModRevision:
		out.Type = Updated
	}
	return out
}

// closeStream ends a stream, and takes what is left in it off the member's count.
func closeStream(stream mvcc.WatchStream) {
	stream.Close()
	for r := range stream.Chan() {
		mvcc.ReportEventReceived(len(r.Events))
	}
}
