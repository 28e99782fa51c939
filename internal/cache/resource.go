package cache

import (
	"strings"
	"time"

	"github.com/google/btree"

	"minato.dev/minato/internal/store"
)

const degree = 32

// resource is the state of one kind: objects by key, indexes by field, recent writes, and who waits for more. The cache's
// lock guards it.
type resource struct {
	Resource
	state
	log     history
	groups  groups
	frozen  *state // the state as handed out in snapshots, nil where it has changed since
	pinned  []pin  // older states that somebody asked for
	cold    *cold
	plain   int         // bytes of values written since the last packing was asked for
	packing *time.Timer // runs packLater; nil where nothing is to be packed
	since   int64       // revision at which AddResource loaded it; 0 where the cache loaded it with the others
}

// state is a set of trees. Cloned, it is immutable and shares what has not changed since.
type state struct {
	objects *btree.BTreeG[*Object]
	indexes map[string]*btree.BTreeG[indexed] // by field
}

// indexed orders objects by a field's value, then by key.
type indexed struct {
	value, key string
	object     *Object
}

// pin is a state as of revision.
type pin struct {
	revision int64
	state    *state
}

// maxPinned bounds the older states that are kept for the next page of a list.
const maxPinned = 8

func newResource(cfg Resource, c Config) *resource {
	return &resource{Resource: cfg, state: newState(cfg.Indexed), log: newHistory(0, c), groups: newGroups(), cold: &cold{}}
}

func newState(fields []string) state {
	s := state{
		objects: btree.NewG(degree, func(a, b *Object) bool { return a.Key < b.Key }),
		indexes: make(map[string]*btree.BTreeG[indexed], len(fields)),
	}
	for _, f := range fields {
		s.indexes[f] = btree.NewG(degree, func(a, b indexed) bool {
			return a.value < b.value || a.value == b.value && a.key < b.key
		})
	}
	return s
}

func (s *state) get(key string) (*Object, bool) { return s.objects.Get(&Object{Key: key}) }

// set puts o in the place of prev, either of which may be nil.
func (s *state) set(prev, o *Object) {
	for field, tree := range s.indexes {
		if prev != nil && (o == nil || prev.Fields.Get(field) != o.Fields.Get(field)) {
			tree.Delete(indexed{value: prev.Fields.Get(field), key: prev.Key})
		}
		if o != nil {
			tree.ReplaceOrInsert(indexed{o.Fields.Get(field), o.Key, o})
		}
	}
	if o != nil {
		s.objects.ReplaceOrInsert(o)
	} else if prev != nil {
		s.objects.Delete(prev)
	}
}

// clone takes constant time. It changes s's bookkeeping too, so nobody else may use s meanwhile.
func (s *state) clone() *state {
	c := &state{objects: s.objects.Clone(), indexes: make(map[string]*btree.BTreeG[indexed], len(s.indexes))}
	for f, tree := range s.indexes {
		c.indexes[f] = tree.Clone()
	}
	return c
}

// write applies one write, logs it and wakes who waits for it.
func (r *resource) write(e *entry) {
	r.set(e.prev, e.object)
	r.frozen = nil
	r.log.add(e)
	for len(r.pinned) > 0 && r.pinned[0].revision < r.log.floor {
		r.pinned = r.pinned[1:]
	}
	r.groups.wake(r, e, r.log.next-1)
}

// entryFor is the log's record of a store event, or nil where it changes nothing here.
func (r *resource) entryFor(e store.Event, o *Object) *entry {
	prev, found := r.get(e.KV.Key)
	if !found {
		prev = nil
	}
	if o == nil && prev == nil {
		return nil
	}
	return &entry{revision: e.KV.ModRevision, object: o, prev: prev}
}

// namespaceOf is the prefix of the namespace that key is in, or "" for a cluster-wide object.
func (r *resource) namespaceOf(key string) string {
	if i := strings.LastIndexByte(key, '/') + 1; i > len(r.Prefix) {
		return key[:i]
	}
	return ""
}
