package differential

import (
	"context"
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

func (p *Pair) note(step string, r Request, ds []Difference) {
	for _, d := range ds {
		d.Step, d.ask = step, r
		p.Found = append(p.Found, d)
	}
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
