package ownership

import (
	"bytes"
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// maxKnown bounds the bytes whose sets are remembered: objects of one kind that one program writes mostly have the same.
const maxKnown = 128 << 10

// Sets remembers what sets of fields their stored forms stand for. Nobody changes a set once it is made. The zero value is
// ready, and safe for concurrent use.
type Sets struct {
	mu    sync.Mutex
	known map[setKey]*fieldpath.Set
	bytes int
}

type setKey struct{ kind, raw string }

// of is the set that is stored as raw in an object of the kind; nil where raw is not just what would be written for the
// set under the schema of today, or says of a field that it is owned which never is.
func (s *Sets) of(k *Kind, raw []byte) *fieldpath.Set {
	kind := *k.Type.TypeRef.NamedType
	s.mu.Lock()
	set, ok := s.known[setKey{kind, string(raw)}]
	s.mu.Unlock()
	if ok {
		return set
	}
	set = parse(k, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes += len(raw); s.known == nil || s.bytes > maxKnown {
		s.known, s.bytes = map[setKey]*fieldpath.Set{}, len(raw)
	}
	s.known[setKey{kind, string(raw)}] = set
	return set
}

func parse(k *Kind, raw []byte) *fieldpath.Set {
	set := &fieldpath.Set{}
	if err := set.FromJSON(bytes.NewReader(raw)); err != nil {
		return nil
	}
	if again, err := set.ToJSON(); err != nil || !bytes.Equal(raw, again) || !set.Intersection(never).Empty() {
		return nil
	}
	changed, err := typed.ReconcileFieldSetWithSchema(set, typed.AsTypedUnvalidated(nil, k.Type.Schema, k.Type.TypeRef))
	if err != nil || changed != nil {
		return nil
	}
	return set
}
