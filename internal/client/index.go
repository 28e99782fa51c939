package client

// index maps keys, derived from objects, to the objects.
type index[T Object] struct {
	of   func(T) []string
	keys map[string]map[place]*held[T]
}

func (ix *index[T]) add(at place, t T, h *held[T]) {
	for _, key := range ix.of(t) {
		if ix.keys[key] == nil {
			ix.keys[key] = map[place]*held[T]{}
		}
		ix.keys[key][at] = h
	}
}

func (ix *index[T]) remove(at place, t T) {
	for _, key := range ix.of(t) {
		delete(ix.keys[key], at)
		if len(ix.keys[key]) == 0 {
			delete(ix.keys, key)
		}
	}
}
