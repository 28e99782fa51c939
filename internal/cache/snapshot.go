package cache

import "strings"

// A Snapshot is the immutable state of one resource at one revision.
type Snapshot struct {
	prefix   string
	revision int64
	state    *state
}

// Snapshot returns the state of the resource with this prefix (Resource.Prefix, or a longer one within it) as of Revision, in
// constant time. Errors: ErrUnknown.
func (c *Cache) Snapshot(prefix string) (*Snapshot, error) {
	c.mu.RLock()
	r := c.find(prefix)
	if r != nil && r.frozen != nil {
		defer c.mu.RUnlock()
		return &Snapshot{r.Prefix, c.revision, r.frozen}, nil
	}
	c.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot(prefix)
}

// snapshot is Snapshot under the lock.
func (c *Cache) snapshot(prefix string) (*Snapshot, error) {
	r := c.find(prefix)
	if r == nil {
		return nil, ErrUnknown
	}
	if r.frozen == nil {
		r.frozen = r.clone()
	}
	return &Snapshot{r.Prefix, c.revision, r.frozen}, nil
}

// SnapshotAt returns the state as of revision. It costs as much as there were writes since, once.
// Errors: ErrExpired (then try LoadAt), ErrFuture, ErrUnknown.
func (c *Cache) SnapshotAt(prefix string, revision int64) (*Snapshot, error) {
	s, undo, err := c.snapshotNear(prefix, revision)
	if err != nil || len(undo) == 0 {
		return s, err
	}
	for i := len(undo) - 1; i >= 0; i-- {
		s.state.set(undo[i].object, undo[i].prev)
	}
	c.pin(prefix, s)
	return s, nil
}

// snapshotNear returns the snapshot at revision, or a private clone of the newest with the writes to undo in it.
func (c *Cache) snapshotNear(prefix string, revision int64) (*Snapshot, []*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.find(prefix)
	if err := c.covers(r, revision); err != nil {
		return nil, nil, err
	}
	from := r.log.after(revision)
	if from == r.log.next {
		s, err := c.snapshot(prefix)
		if err == nil {
			s.revision = revision
		}
		return s, nil, err
	}
	for _, p := range r.pinned {
		if p.revision == revision {
			return &Snapshot{r.Prefix, revision, p.state}, nil, nil
		}
	}
	undo := make([]*entry, 0, r.log.next-from)
	for seq := from; seq < r.log.next; seq++ {
		undo = append(undo, r.log.at(seq))
	}
	return &Snapshot{r.Prefix, revision, r.clone()}, undo, nil
}

// pin keeps an older state for the next page. Pins are in order of revision, so that the oldest goes first.
func (c *Cache) pin(prefix string, s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.find(prefix)
	if r == nil || s.revision < r.log.floor {
		return
	}
	at := 0
	for at < len(r.pinned) && r.pinned[at].revision < s.revision {
		at++
	}
	pinned := append([]pin(nil), r.pinned[:at]...)
	pinned = append(append(pinned, pin{s.revision, s.state}), r.pinned[at:]...)
	r.pinned = pinned[max(0, len(pinned)-maxPinned):]
}

// Revision is the revision of the cache that the snapshot shows.
func (s *Snapshot) Revision() int64 { return s.revision }

// Len is the number of objects of the resource.
func (s *Snapshot) Len() int { return s.state.objects.Len() }

// Get returns the object at key.
func (s *Snapshot) Get(key string) (*Object, bool) { return s.state.get(key) }

// Ascend calls each with all objects whose key is not less than from ("" for all), in key order, until it returns false.
func (s *Snapshot) Ascend(from string, each func(*Object) bool) { s.AscendPrefix(s.prefix, from, each) }

// AscendPrefix is Ascend within the keys that start with prefix: one namespace is Resource.Prefix + namespace + "/".
func (s *Snapshot) AscendPrefix(prefix, from string, each func(*Object) bool) {
	s.state.objects.AscendGreaterOrEqual(&Object{Key: max(prefix, from)}, func(o *Object) bool {
		return strings.HasPrefix(o.Key, prefix) && each(o)
	})
}

// Count is the number of objects whose key starts with prefix and is not less than from.
func (s *Snapshot) Count(prefix, from string) int {
	if from <= s.prefix && prefix == s.prefix {
		return s.Len()
	}
	n := 0
	s.AscendPrefix(prefix, from, func(*Object) bool { n++; return true })
	return n
}

// ByField is AscendPrefix within the objects whose indexed field has this value. It returns false, having called nothing,
// where the resource has no index on field.
func (s *Snapshot) ByField(field, value, prefix, from string, each func(*Object) bool) (indexedField bool) {
	tree := s.state.indexes[field]
	if tree == nil {
		return false
	}
	tree.AscendGreaterOrEqual(indexed{value: value, key: max(prefix, from)}, func(i indexed) bool {
		return i.value == value && strings.HasPrefix(i.key, prefix) && each(i.object)
	})
	return true
}
