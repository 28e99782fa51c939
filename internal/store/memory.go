package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/btree"
)

// Memory is a Store in memory with the same semantics, history included, for tests.
type Memory struct {
	mu       sync.Mutex
	revision int64
	floor    int64 // the compacted revision: states before it are gone
	state    *btree.BTreeG[KV]
	log      []Event // revisions above floor, in order, with Prev: older states are had by undoing
	changed  chan struct{}
	closed   bool
	expiry   expiry
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store at revision 1, as etcd's first.
func NewMemory() *Memory {
	return &Memory{revision: 1, state: btree.NewG(16, kvLess), changed: make(chan struct{}), expiry: newExpiry()}
}

func kvLess(a, b KV) bool { return a.Key < b.Key }

// Get is in Store.
func (m *Memory) Get(ctx context.Context, key string) (KV, bool, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return KV{}, false, 0, err
	}
	kv, found := m.state.Get(KV{Key: key})
	return kv, found, m.revision, nil
}

// List is in Store.
func (m *Memory) List(ctx context.Context, prefix string, o ListOptions) (Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Page{}, err
	}
	state, err := m.at(o.Revision)
	if err != nil {
		return Page{}, fmt.Errorf("store: list %s: %w", prefix, err)
	}
	p := Page{Revision: max(o.Revision, 0)}
	if p.Revision == 0 {
		p.Revision = m.revision
	}
	state.AscendGreaterOrEqual(KV{Key: max(prefix, o.From)}, func(kv KV) bool {
		if !strings.HasPrefix(kv.Key, prefix) {
			return false
		}
		if o.Limit > 0 && len(p.KVs) == o.Limit {
			p.More = true
			p.Remaining++
			return true
		}
		p.KVs = append(p.KVs, kv)
		return true
	})
	return p, nil
}

// at is the state as of revision, 0 for now.
func (m *Memory) at(revision int64) (*btree.BTreeG[KV], error) {
	switch {
	case revision == 0 || revision == m.revision:
		return m.state, nil
	case revision > m.revision:
		return nil, ErrFutureRevision
	case revision < m.floor:
		return nil, ErrCompacted
	}
	old := m.state.Clone()
	for i := len(m.log) - 1; i >= 0 && m.log[i].KV.ModRevision > revision; i-- {
		if e := m.log[i]; e.Prev != nil {
			old.ReplaceOrInsert(*e.Prev)
		} else {
			old.Delete(e.KV)
		}
	}
	return old, nil
}

// Create is in Store.
func (m *Memory) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fits(ctx, key, value); err != nil {
		return 0, err
	}
	if m.state.Has(KV{Key: key}) {
		return m.revision, fmt.Errorf("create %s: %w", key, ErrExists)
	}
	return m.put(KV{Key: key, Value: value, CreateRevision: m.revision + 1}, nil, ttl), nil
}

// Update is in Store.
func (m *Memory) Update(ctx context.Context, key string, value []byte, expect int64, ttl time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fits(ctx, key, value); err != nil {
		return 0, err
	}
	prev, err := m.expected(key, expect)
	if err != nil {
		return m.revision, err
	}
	return m.put(KV{Key: key, Value: value, CreateRevision: prev.CreateRevision}, &prev, ttl), nil
}

// Delete is in Store.
func (m *Memory) Delete(ctx context.Context, key string, expect int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	prev, err := m.expected(key, expect)
	if err != nil {
		return m.revision, err
	}
	return m.remove(prev), nil
}

func (m *Memory) expected(key string, expect int64) (KV, error) {
	cur, found := m.state.Get(KV{Key: key})
	if !found || expect != AnyRevision && cur.ModRevision != expect {
		return KV{}, &ConflictError{Key: key, Expect: expect, Current: cur, Found: found}
	}
	return cur, nil
}

func (m *Memory) put(kv KV, prev *KV, ttl time.Duration) int64 {
	kv.ModRevision = m.revision + 1
	if ttl > 0 {
		kv.Lease = kv.ModRevision
		m.expiry.add(kv.Key, kv.Lease, time.Now().Add(ttl), m.expire)
	}
	m.state.ReplaceOrInsert(kv)
	e := Event{Type: Created, KV: kv, Prev: prev}
	if prev != nil {
		e.Type = Updated
	}
	return m.commit(e)
}

func (m *Memory) remove(prev KV) int64 {
	m.state.Delete(prev)
	return m.commit(Event{Type: Deleted, KV: KV{Key: prev.Key, ModRevision: m.revision + 1}, Prev: &prev})
}

func (m *Memory) commit(e Event) int64 {
	m.revision++
	m.log = append(m.log, e)
	m.wakeAll()
	return m.revision
}

// expire removes the keys whose time has come and arms the timer for the next.
func (m *Memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	for _, d := range m.expiry.due(time.Now(), m.expire) {
		if cur, found := m.state.Get(KV{Key: d.key}); found && cur.Lease == d.lease {
			m.remove(cur)
		}
	}
}

// Revision is in Store.
func (m *Memory) Revision(ctx context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision, m.usable(ctx)
}

// Compact is in Store.
func (m *Memory) Compact(ctx context.Context, revision int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	switch {
	case revision > m.revision:
		return fmt.Errorf("store: compact: %w", ErrFutureRevision)
	case revision <= m.floor:
		return fmt.Errorf("store: compact: %w", ErrCompacted)
	}
	m.floor = revision
	m.log = append([]Event(nil), m.log[m.after(revision):]...)
	m.wakeAll()
	return nil
}

// Floor is in Store.
func (m *Memory) Floor() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.floor
}

// Close is in Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		m.expiry.stop()
		m.wakeAll()
	}
	return nil
}

func (m *Memory) wakeAll() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (m *Memory) fits(ctx context.Context, key string, value []byte) error {
	if len(key)+len(value) > MaxValueBytes {
		return fmt.Errorf("write %s: %d bytes: %w", key, len(value), ErrTooLarge)
	}
	return m.usable(ctx)
}
