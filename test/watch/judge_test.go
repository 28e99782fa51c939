package watch

import (
	"fmt"
	"maps"
	"slices"
)

// change is one write of the truth: what the object was before and after it; the values are empty where it was not there.
type change struct {
	revision    int64
	key         string
	was, is     item
	there, gone bool // there before; gone after
}

// truth is what the followers of everything saw between them.
type truth struct{ stretches []*stretch }

// newTruth takes the stretches of all followers of everything. Where two tell of the same revision they must agree.
func newTruth(all []*follower) (*truth, error) {
	t, said := &truth{}, map[int64]event{}
	for _, f := range all {
		for _, s := range f.stretches {
			t.stretches = append(t.stretches, s)
			for _, e := range s.events {
				if was, ok := said[e.revision]; ok && was != e {
					return nil, fmt.Errorf("revision %d is %v to one watcher and %v to another", e.revision, was, e)
				}
				said[e.revision] = e
			}
		}
	}
	return t, nil
}

// covering is a stretch that knows the state at rev; nil where none does.
func (t *truth) covering(rev int64) *stretch {
	for _, s := range t.stretches {
		if s.from <= rev && rev <= s.to {
			return s
		}
	}
	return nil
}

// spanning is a stretch that knows every write from one revision to another.
func (t *truth) spanning(from, to int64) *stretch {
	for _, s := range t.stretches {
		if s.from <= from && to <= s.to {
			return s
		}
	}
	return nil
}

// at is the state of a stretch at rev.
func (s *stretch) at(rev int64) map[string]item {
	state := maps.Clone(s.state)
	for _, e := range s.events {
		if e.revision > rev {
			break
		}
		e.apply(state)
	}
	return state
}

func (e *event) apply(state map[string]item) {
	if e.kind == "DELETED" {
		delete(state, e.key)
		return
	}
	state[e.key] = e.item
}

// changes are a stretch's writes. An event that does not fit the state before it is a fault.
func (s *stretch) changes() ([]change, error) {
	state := maps.Clone(s.state)
	var out []change
	for _, e := range s.events {
		was, there := state[e.key]
		if there != (e.kind != "ADDED") {
			return nil, fmt.Errorf("%s of %s at revision %d, which was there: %v, for a watcher from revision %d to %d", e.kind, e.key, e.revision, there, s.from, s.to)
		}
		e.apply(state)
		out = append(out, change{e.revision, e.key, was, e.item, there, e.kind == "DELETED"})
	}
	return out, nil
}

// expected are the events that a follower with this shape must see of the changes in (from, to].
func (s *shape) expected(all []change, from, to int64) []event {
	var out []event
	for _, c := range all {
		if c.revision <= from || c.revision > to {
			continue
		}
		before, after := c.there && s.belongs(c.key, c.was), !c.gone && s.belongs(c.key, c.is)
		e := event{revision: c.revision, key: c.key, item: c.is}
		switch {
		case before && after:
			e.kind = "MODIFIED"
		case after:
			e.kind = "ADDED"
		case before: // it shows what it was as it belonged
			e.kind, e.item = "DELETED", c.was
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// check holds a follower against the truth, and returns how many events that were.
func (f *follower) check(t *truth) (int, error) {
	n := 0
	for _, s := range f.stretches {
		known := t.covering(s.from)
		if known == nil {
			continue // everybody had a gap there
		}
		if err := same(f.belonging(known.at(s.from)), s.state); err != nil {
			return n, fmt.Errorf("began at revision %d: %w", s.from, err)
		}
		if known = t.spanning(s.from, s.to); known == nil {
			continue
		}
		all, err := known.changes()
		if err != nil {
			return n, err
		}
		want := f.expected(all, s.from, s.to)
		if !slices.Equal(want, s.events) {
			return n, differ(want, s.events)
		}
		n += len(want)
	}
	return n, nil
}

func (s *shape) belonging(state map[string]item) map[string]item {
	maps.DeleteFunc(state, func(key string, it item) bool { return !s.belongs(key, it) })
	return state
}

// differ tells of the first event that is not as it should be.
func differ(want, got []event) error {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("missed %v", want[i])
		case i >= len(want):
			return fmt.Errorf("saw %v, which was not", got[i])
		case want[i] != got[i]:
			return fmt.Errorf("saw %v instead of %v", got[i], want[i])
		}
	}
	return nil
}

func same(want, got map[string]item) error {
	if maps.Equal(want, got) {
		return nil
	}
	return fmt.Errorf("has %v instead of %v", got, want)
}

// checkLists holds lists against the truth, and returns how many that were.
func (t *truth) checkLists(all []listing) (int, error) {
	n := 0
	for _, l := range all {
		known := t.covering(l.rev)
		if known == nil {
			continue
		}
		s := shape{belongs: l.belongs}
		if err := same(s.belonging(known.at(l.rev)), l.state); err != nil {
			return n, fmt.Errorf("list (%s) at revision %d: %w", l.how, l.rev, err)
		}
		n++
	}
	return n, nil
}
