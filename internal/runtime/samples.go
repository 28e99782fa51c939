package runtime

import (
	"sync"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/cgroup"
)

// samples keeps one earlier reading of each cgroup's CPU time, to tell how many cores it uses now. Nothing is sampled
// in the background: the client's own questions are the clock.
type samples struct {
	mu   sync.Mutex
	byID map[string]sample
}

// sample holds the reading that rates are counted from, and the last rate.
type sample struct {
	at   time.Time
	cpu  time.Duration
	rate uint64 // nanoseconds of CPU each second
}

// minSpan is the shortest time over which a rate is counted; sooner questions get the last one.
const minSpan = time.Second

// rate returns the CPU time used each second since an earlier question, in nanoseconds; nil at the first.
func (s *samples) rate(id string, u cgroup.Usage) *api.UInt64Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]sample{}
	}
	last, known := s.byID[id]
	span := u.Time.Sub(last.at)
	switch {
	case !known:
		s.byID[id] = sample{at: u.Time, cpu: u.CPU}
		return nil
	case span >= minSpan && u.CPU >= last.cpu:
		last = sample{at: u.Time, cpu: u.CPU, rate: uint64(float64(u.CPU-last.cpu) / span.Seconds())}
		s.byID[id] = last
	}
	return &api.UInt64Value{Value: last.rate}
}

func (s *samples) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}
