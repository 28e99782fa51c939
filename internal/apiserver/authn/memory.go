package authn

import (
	"crypto/sha256"
	"sync"
	"time"
)

// memory remembers results by the hash of a credential until their end. It holds a bounded number: when full, what has
// ended goes first, then anything.
type memory[V any] struct {
	most int
	mu   sync.RWMutex
	m    map[[sha256.Size]byte]remembered[V]
}

type remembered[V any] struct {
	v   V
	end time.Time
}

func newMemory[V any](most int) *memory[V] {
	return &memory[V]{most: most, m: map[[sha256.Size]byte]remembered[V]{}}
}

func (m *memory[V]) get(k [sha256.Size]byte, now time.Time) (V, bool) {
	m.mu.RLock()
	r, ok := m.m[k]
	m.mu.RUnlock()
	if !ok || now.After(r.end) {
		var none V
		return none, false
	}
	return r.v, true
}

func (m *memory[V]) put(k [sha256.Size]byte, v V, now, end time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.m) >= m.most {
		m.shrink(now)
	}
	m.m[k] = remembered[V]{v, end}
}

// shrink makes room for at least an eighth.
func (m *memory[V]) shrink(now time.Time) {
	for k, r := range m.m {
		if now.After(r.end) {
			delete(m.m, k)
		}
	}
	for k := range m.m {
		if len(m.m) <= m.most-m.most/8 {
			return
		}
		delete(m.m, k)
	}
}
