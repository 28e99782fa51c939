package kubelet

import "time"

// holds are the pauses after failed operations, by the operation's key.
type holds map[string]pause

type pause struct {
	until, since time.Time
	length       time.Duration
}

// failed makes key wait: first, doubled with each further failure, at most most.
func (h holds) failed(key string, now time.Time, first, most time.Duration) {
	p := h[key]
	p.length = min(max(2*p.length, first), most)
	p.since, p.until = now, now.Add(p.length)
	h[key] = p
}

// now lets key be tried at once but keeps its pause for the next failure.
func (h holds) now(key string) {
	if p, ok := h[key]; ok {
		p.until = time.Time{}
		h[key] = p
	}
}

func (h holds) until() map[string]time.Time {
	m := make(map[string]time.Time, len(h))
	for k, p := range h {
		m[k] = p.until
	}
	return m
}

// next is the end of the first pause that has not ended.
func (h holds) next(now time.Time) time.Time {
	var first time.Time
	for _, p := range h {
		if p.until.After(now) {
			first = earliest(first, p.until)
		}
		if shown := p.since.Add(showError); shown.After(now) {
			first = earliest(first, shown)
		}
	}
	return first
}

// showError is how long a failed pull is shown as ErrImagePull before it becomes ImagePullBackOff.
const showError = 2 * time.Second
