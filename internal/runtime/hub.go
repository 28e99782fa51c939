package runtime

import (
	"sync"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hubDepth is how many events a listener may be behind before it is cut off; it then lists and listens anew.
const hubDepth = 1024

// hub hands events to all listeners. It costs nothing while nobody listens.
type hub struct {
	mu        sync.Mutex
	listeners map[chan *api.ContainerEventResponse]bool
}

func (h *hub) listen() chan *api.ContainerEventResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners == nil {
		h.listeners = map[chan *api.ContainerEventResponse]bool{}
	}
	c := make(chan *api.ContainerEventResponse, hubDepth)
	h.listeners[c] = true
	return c
}

func (h *hub) leave(c chan *api.ContainerEventResponse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, c)
}

func (h *hub) anyone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners) > 0
}

// publish never blocks: a listener that is full is cut off by closing its channel.
func (h *hub) publish(e *api.ContainerEventResponse) {
	if e == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.listeners {
		select {
		case c <- e:
		default:
			close(c)
			delete(h.listeners, c)
		}
	}
}
