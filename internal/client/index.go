package client

import "slices"

// index maps keys, derived from objects, to the objects.
type index[T Object] struct {
	of   func(T) []string
	keys map[string]*bucket[T]
}

// bucket holds the objects of one key. Most keys have few, for which a list is a tenth of a map.
type bucket[T Object] struct {
	few  []*held[T]
	many map[place]*held[T] // in the place of few, where they are more than maxFew
}

const maxFew = 16

func (ix *index[T]) add(at place, t T, h *held[T]) {
	for _, key := range ix.of(t) {
		b := ix.keys[key]
		if b == nil {
			b = &bucket[T]{}
			ix.keys[key] = b
		}
		b.add(at, h)
	}
}

func (b *bucket[T]) add(at place, h *held[T]) {
	i := b.find(at)
	switch {
	case b.many != nil:
		b.many[at] = h
	case i >= 0:
		b.few[i] = h
	case len(b.few) < maxFew:
		b.few = append(b.few, h)
	default:
		b.many = make(map[place]*held[T], 2*maxFew)
		for _, other := range b.few {
			b.many[other.place()] = other
		}
		b.many[at], b.few = h, nil
	}
}

func (b *bucket[T]) find(at place) int {
	return slices.IndexFunc(b.few, func(h *held[T]) bool { return h.place() == at })
}

func (ix *index[T]) remove(at place, t T) {
	for _, key := range ix.of(t) {
		b := ix.keys[key]
		if b == nil {
			continue
		}
		delete(b.many, at)
		if i := b.find(at); i >= 0 {
			last := len(b.few) - 1
			b.few[i], b.few[last] = b.few[last], nil
			b.few = b.few[:last]
		}
		if b.len() == 0 {
			delete(ix.keys, key)
		}
	}
}

func (b *bucket[T]) len() int { return len(b.few) + len(b.many) }

// all returns what the key has.
func (ix *index[T]) all(key string) []*held[T] {
	b := ix.keys[key]
	if b == nil {
		return nil
	}
	out := append(make([]*held[T], 0, b.len()), b.few...)
	for _, h := range b.many {
		out = append(out, h)
	}
	return out
}
