package decide

import "time"

// The restart pauses of a container: none, 10 s, doubling to 5 min; forgotten after twice the longest pause.
const (
	FirstPause = 10 * time.Second
	MostPause  = 5 * time.Minute
	forget     = 2 * MostPause
)

// Backoff is the pause that the next restart has to keep, counted from when the container ended.
type Backoff struct {
	Pause   time.Duration
	Updated time.Time // when the container ended whose restart set Pause
}

// Until is when a container that ended at `ended` may start again.
func (b Backoff) Until(ended time.Time) time.Time {
	if b.Pause == 0 || ended.Sub(b.Updated) > forget {
		return ended
	}
	return ended.Add(b.Pause)
}

// Next is the back-off after a restart of a container that ended at `ended`.
func (b Backoff) Next(ended time.Time) Backoff {
	if b.Pause == 0 || ended.Sub(b.Updated) > forget {
		return Backoff{FirstPause, ended}
	}
	return Backoff{min(2*b.Pause, MostPause), ended}
}
