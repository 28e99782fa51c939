package runtime

import (
	"slices"
	"sync"
)

// announcer wakes those who wait for something to happen to an id.
type announcer struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{}
}

// subscribe returns a channel that is closed at the next announcement. Subscribe first, then look whether it has
// happened already.
func (a *announcer) subscribe(id string) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[string][]chan struct{}{}
	}
	c := make(chan struct{})
	a.waiting[id] = append(a.waiting[id], c)
	return c
}

func (a *announcer) unsubscribe(id string, c <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[id] = slices.DeleteFunc(a.waiting[id], func(w chan struct{}) bool { return w == c })
	if len(a.waiting[id]) == 0 {
		delete(a.waiting, id)
	}
}

func (a *announcer) announce(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.waiting[id] {
		close(c)
	}
	delete(a.waiting, id)
}
