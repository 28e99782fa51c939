package differential

import (
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// An Accepted difference is one that we know of. In a pattern "*" stands for anything.
type Accepted struct {
	Step   string `json:"step"`             // of the request's name
	Where  string `json:"where"`            // of the place
	Ours   string `json:"ours,omitempty"`   // of our value; empty: any
	Theirs string `json:"theirs,omitempty"` // of theirs
	Reason string `json:"reason"`
	seen   int
}

// A Ledger is the list of accepted differences.
type Ledger struct{ list []*Accepted }

// ReadLedger reads the list from a file. Every entry must say why.
func ReadLedger(file string) (*Ledger, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var l Ledger
	if err := yaml.UnmarshalStrict(b, &l.list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i, a := range l.list {
		if a.Step == "" || a.Where == "" || a.Reason == "" {
			return nil, fmt.Errorf("%s: entry %d needs step, where and reason", file, i+1)
		}
	}
	return &l, nil
}

// Take says whether a difference is accepted, and counts it.
func (l *Ledger) Take(d Difference) bool {
	taken := false
	for _, a := range l.list {
		if like(a.Step, d.Step) && like(a.Where, d.Where) && like(a.Ours, d.Ours) && like(a.Theirs, d.Theirs) {
			a.seen++
			taken = true
		}
	}
	return taken
}

// Unseen are the entries that no difference has met.
func (l *Ledger) Unseen() (out []Accepted) {
	for _, a := range l.list {
		if a.seen == 0 {
			out = append(out, *a)
		}
	}
	return out
}

// like matches with "*" for anything, slashes included, and the rest literally.
func like(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	parts := strings.Split(rest, "*")
	s = s[len(first):]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
