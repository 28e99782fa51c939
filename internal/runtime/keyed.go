package runtime

import (
	"context"
	"sync"
)

// keyed is one lock for each id, made when it is first wanted and forgotten with its last user.
type keyed struct {
	mu   sync.Mutex
	byID map[string]*keyLock
}

type keyLock struct {
	turn  chan struct{}
	users int
}

// lock waits for id's turn or for ctx to end. The returned function gives the turn back.
func (k *keyed) lock(ctx context.Context, id string) (unlock func(), err error) {
	l := k.join(id)
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; k.leave(id, l) }, nil
	case <-ctx.Done():
		k.leave(id, l)
		return nil, ctx.Err()
	}
}

func (k *keyed) join(id string) *keyLock {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[string]*keyLock{}
	}
	l := k.byID[id]
	if l == nil {
		l = &keyLock{turn: make(chan struct{}, 1)}
		k.byID[id] = l
	}
	l.users++
	return l
}

func (k *keyed) leave(id string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.byID, id)
	}
}
