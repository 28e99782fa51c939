package differential

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A Pair is both servers and what was found between them.
type Pair struct {
	Ours, Theirs *Side
	t            testing.TB
	Asked        int
	Found        []Difference
	pairs        *pairing
	asks         []later
}

// later is a request that is put together with others.
type later struct {
	step string
	ask  Request
}

// NewPair pairs two servers that nobody has asked anything yet.
func NewPair(t testing.TB, ours, theirs *Side) *Pair {
	return &Pair{Ours: ours, Theirs: theirs, t: t, pairs: newPairing()}
}

// Ask puts one request to both sides and notes how the answers differ. step names it in the list of differences.
func (p *Pair) Ask(step string, r Request) (ours, theirs Answer) {
	p.t.Helper()
	ours, theirs = p.both(p.t.Context(), r)
	p.Asked++
	p.note(step, r, p.pairs.compare(ours, theirs))
	return ours, theirs
}

// AskFrail is Ask of what upstream may break off at, where its handler panics: then nothing is compared, and it says false.
func (p *Pair) AskFrail(step string, r Request) bool {
	p.t.Helper()
	p.Asked++
	ours, err := p.Ours.ask(p.t.Context(), r)
	if err != nil {
		p.t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	theirs, err := p.Theirs.ask(p.t.Context(), r)
	if err != nil {
		p.t.Logf("%s: %v", step, err)
		return false
	}
	p.note(step, r, p.pairs.compare(ours, theirs))
	return true
}

func (p *Pair) note(step string, r Request, ds []Difference) {
	for _, d := range ds {
		d.Step, d.ask = step, r
		p.Found = append(p.Found, d)
	}
}

// together puts all requests that wait in asks, a few at once, for watches take their time, and compares each pair of answers.
// One pair that differs is asked again alone: a watch may end before a busy server has told everything.
func (p *Pair) together() {
	p.t.Helper()
	type heard struct{ ours, theirs Answer }
	for batch := range slices.Chunk(p.asks, 40) {
		all := make([]heard, len(batch))
		var wg sync.WaitGroup
		for i, l := range batch {
			wg.Go(func() { all[i].ours, all[i].theirs = p.both(p.t.Context(), l.ask) })
		}
		wg.Wait()
		for i, l := range batch {
			p.Asked++
			found := p.pairs.compare(all[i].ours, all[i].theirs)
			if len(found) > 0 && strings.Contains(l.ask.Path, "watch") {
				found = p.pairs.compare(p.both(p.t.Context(), l.ask))
			}
			p.note(l.step, l.ask, found)
		}
	}
	p.asks = nil
}

// both asks without comparing.
func (p *Pair) both(ctx context.Context, r Request) (ours, theirs Answer) {
	p.t.Helper()
	var wg sync.WaitGroup
	var errOurs, errTheirs error
	wg.Add(1)
	go func() { defer wg.Done(); ours, errOurs = p.Ours.ask(ctx, r) }()
	theirs, errTheirs = p.Theirs.ask(ctx, r)
	wg.Wait()
	for _, err := range []error{errOurs, errTheirs} {
		if err != nil {
			p.t.Fatalf("%s %s: %v", r.Method, r.Path, err)
		}
	}
	return ours, theirs
}

// Set gives both sides a variable.
func (p *Pair) Set(name, value string) {
	p.Ours.vars[name], p.Theirs.vars[name] = value, value
}
