package store

import (
	"context"
	"fmt"
	"sort"
	"strings"
)

// Watch is in Store. A watcher is a place in the log, so it costs nothing while it waits.
func (m *Memory) Watch(ctx context.Context, prefix string, after int64, o WatchOptions, each func(Batch) error) error {
	for {
		b, wait, err := m.next(prefix, after, o)
		if err != nil {
			return fmt.Errorf("store: watch %s: %w", prefix, err)
		}
		if b.Revision > after {
			after = b.Revision
			if err := each(b); err != nil {
				return err
			}
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next is everything after a revision and the channel that closes at the next change.
func (m *Memory) next(prefix string, after int64, o WatchOptions) (Batch, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Batch{}, nil, ErrClosed
	}
	// As etcd: the watch needs revision after+1, which is gone when it lies below the compacted one.
	if after+1 < m.floor && after < m.revision {
		return Batch{}, nil, fmt.Errorf("%w up to %d", ErrCompacted, m.floor)
	}
	b := Batch{Revision: m.revision}
	for _, e := range m.log[m.after(after):] {
		if !strings.HasPrefix(e.KV.Key, prefix) {
			continue
		}
		if !o.Prev || e.Prev != nil && e.Prev.ModRevision < m.floor && !m.survives(*e.Prev) {
			e.Prev = nil
		}
		b.Events = append(b.Events, e)
	}
	return b, m.changed, nil
}

// survives says whether a state from before the floor is still the state at the floor, which compaction keeps.
func (m *Memory) survives(prev KV) bool {
	old, err := m.at(m.floor)
	if err != nil {
		return false
	}
	kv, found := old.Get(prev)
	return found && kv.ModRevision == prev.ModRevision
}

// after is the index in the log of the first write above revision.
func (m *Memory) after(revision int64) int {
	return sort.Search(len(m.log), func(i int) bool { return m.log[i].KV.ModRevision > revision })
}

// Progress is in Store. Watches here always deliver everything.
func (m *Memory) Progress(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usable(ctx)
}
