package runtime

import (
	"context"
	"sync"
)

// networkGate makes the pod network stand before the first pod needs it, once.
type networkGate struct {
	mu    sync.Mutex
	stood bool
	err   error
}

// open brings the network up, unless it is. A failure is kept for Status and the next caller tries again.
func (g *networkGate) open(ctx context.Context, n Network) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stood {
		return nil
	}
	g.err = n.Ensure(ctx)
	g.stood = g.err == nil
	return g.err
}
