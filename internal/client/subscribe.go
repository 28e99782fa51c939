package client

// newcomer is a listener that has yet to be told of what is there.
type newcomer[T Object] struct {
	f    func(old, new T)
	told bool // guarded by deliver
}

// OnChange calls f for each change in order: old is the zero T for an addition, new for a removal. Objects that are
// already there are delivered as additions. f must not block and must not call OnChange.
func (v *View[T]) OnChange(f func(old, new T)) {
	n := &newcomer[T]{f: f}
	v.mu.Lock()
	v.newcomers = append(v.newcomers, n)
	v.mu.Unlock()
	v.deliver.Lock()
	defer v.deliver.Unlock()
	if !n.told {
		v.welcome()
	}
}

// welcome tells all that have come by now in one walk: at the start there are many, and each object is decoded once for
// all of them. The caller holds deliver.
func (v *View[T]) welcome() {
	v.mu.Lock()
	all := v.newcomers
	v.newcomers = nil
	v.mu.Unlock()
	var none T
	for _, h := range v.held("", nil) {
		t, ok := v.look(h)
		if !ok {
			continue
		}
		for _, n := range all {
			n.f(none, t)
		}
	}
	for _, n := range all {
		n.told = true
		v.listeners = append(v.listeners, n.f)
	}
}
