package supervisor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"minato.dev/minato/internal/shim"
)

// keptEvents is how far behind a reader may be before it must list again.
const keptEvents = 1024

// events is the recent history and those who wait for its next entry.
type events struct {
	mu    sync.Mutex
	first uint64 // sequence number of the oldest kept
	seq   uint64 // of the newest
	kept  []shim.Event
	grown chan struct{} // closed at the next event
}

func newEvents(base uint64) *events {
	return &events{first: base + 1, seq: base, grown: make(chan struct{})}
}

func (e *events) publish(ev shim.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	ev.Seq, ev.Time = e.seq, time.Now()
	e.kept = append(e.kept, ev)
	if len(e.kept) > keptEvents {
		e.kept = append([]shim.Event(nil), e.kept[keptEvents/2:]...)
		e.first = e.kept[0].Seq
	}
	close(e.grown)
	e.grown = make(chan struct{})
}

func (e *events) last() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seq
}

// after returns the events since seq, and a channel that is closed when there are more.
func (e *events) after(seq uint64) ([]shim.Event, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if seq+1 < e.first || seq > e.seq {
		return nil, nil, fmt.Errorf("since %d, kept are %d to %d: %w", seq, e.first, e.seq, shim.ErrResync)
	}
	return append([]shim.Event(nil), e.kept[seq+1-e.first:]...), e.grown, nil
}

// stream sends all events after seq until ctx ends or send fails.
func (e *events) stream(ctx context.Context, seq uint64, send func(shim.Event) error) error {
	synced := false
	for {
		news, grown, err := e.after(seq)
		if err != nil {
			return err
		}
		for _, ev := range news {
			if err := send(ev); err != nil {
				return err
			}
			seq = ev.Seq
		}
		if !synced {
			synced = true
			if err := send(shim.Event{Kind: shim.EventSync, Seq: seq, Time: time.Now()}); err != nil {
				return err
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
