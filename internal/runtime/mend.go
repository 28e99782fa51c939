package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"minato.dev/minato/internal/run"
)

// links stands, among the ids of sandboxes and containers, for the links of pods whose namespaces should have ended.
const links = "links"

// Pauses between two tries, doubled with each failure, and the first look for links.
const (
	firstMend  = 200 * time.Millisecond
	mostMend   = 15 * time.Second
	linksPause = 2 * time.Second
)

// errYoung says that there is nothing wrong yet, but that it must be looked at again.
var errYoung = errors.New("not over yet")

// mending holds what a verb had begun to take away and could not finish: the shim was being replaced, the kernel was slow,
// the client gave up. No client asks a second time for a sandbox that has been seen stopped, so the runtime does it itself,
// until an observation says that it is done:
//
//	verb fails after its intent is on record ──► due, after a pause ──► mend: as at the next start ──► done
//	                                              ▲                         │ fails: twice the pause
//	                                              └─────────────────────────┘
type mending struct {
	mu   sync.Mutex
	due  map[string]*mend
	wake chan struct{}
}

type mend struct {
	at      time.Time
	pause   time.Duration
	running bool
	again   bool // asked for once more while running
}

func newMending() *mending {
	return &mending{due: map[string]*mend{}, wake: make(chan struct{}, 1)}
}

// later asks for a look at id after a pause; one that is due already stays as it is.
func (m *mending) later(id string, pause time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.due[id]; d != nil {
		d.again = d.running
		return
	}
	m.due[id] = &mend{at: time.Now().Add(pause), pause: pause}
	m.ring()
}

// ring makes the loop look at what is due. mu is held.
func (m *mending) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take returns the ids whose time has come, and when the next one's comes; zero: never.
func (m *mending) take(now time.Time) (ids []string, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.due {
		switch {
		case d.running:
		case !d.at.After(now):
			d.running = true
			ids = append(ids, id)
		case next.IsZero() || d.at.Before(next):
			next = d.at
		}
	}
	return ids, next
}

// tried notes the outcome of a look at id and returns the pause before the next, 0 where it is done.
func (m *mending) tried(id string, err error) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.due[id]
	if err == nil && !d.again {
		delete(m.due, id)
		return 0
	}
	if err != nil && !errors.Is(err, errYoung) {
		d.pause = min(2*d.pause, mostMend)
	}
	d.at, d.running, d.again = time.Now().Add(d.pause), false, false
	m.ring()
	return d.pause
}

// mendForever looks at what is due, each thing beside the others, until ctx ends.
func (s *Server) mendForever(ctx context.Context, scope *run.Scope) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.mending.wake:
		case <-ctx.Done():
			return nil
		}
		ids, next := s.mending.take(time.Now())
		for _, id := range ids {
			scope.Go("mend "+id, func(ctx context.Context) error {
				s.tryMend(ctx, id)
				return nil
			})
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

func (s *Server) tryMend(ctx context.Context, id string) {
	err := s.mend(ctx, id)
	pause := s.mending.tried(id, err)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errYoung) {
		s.log.Warn("not finished, will try again", "id", id, "err", err, "after", pause)
	}
}

// mend is one look: what the record says against what is there.
func (s *Server) mend(ctx context.Context, id string) error {
	if id == links {
		young, err := s.cfg.Network.SweepLinks(ctx)
		if err == nil && young > 0 {
			err = errYoung
		}
		return err
	}
	if c := s.containers.Get(id); c != nil {
		return s.mendContainer(ctx, c, nil)
	}
	if p := s.sandboxes.Get(id); p != nil {
		return s.mendSandbox(ctx, p)
	}
	return nil
}

// unfinished returns err, and where it is one hands the rest of what was begun with id to mending.
func (s *Server) unfinished(id string, err error) error {
	if err != nil && !errors.Is(err, errDied) {
		s.mending.later(id, firstMend)
	}
	return err
}
