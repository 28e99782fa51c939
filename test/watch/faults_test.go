package watch

import (
	"slices"
	"strings"
	"testing"
)

// TestJudgeFindsFaults: what must be found is found, and what may be is not called a fault.
func TestJudgeFindsFaults(t *testing.T) {
	red, green := item{"1", "red"}, item{"2", "green"}
	all := []event{{3, "ADDED", "east/a", red}, {4, "MODIFIED", "east/a", green}, {6, "ADDED", "west/b", red}, {7, "DELETED", "west/b", red}}
	labelled := []event{{3, "ADDED", "east/a", red}, {4, "DELETED", "east/a", red}, {6, "ADDED", "west/b", red}, {7, "DELETED", "west/b", red}}
	without := func(events []event, i int) []event { return slices.Delete(slices.Clone(events), i, i+1) }
	changed := func(events []event, i int, e event) []event {
		return append(append(slices.Clone(events[:i]), e), events[i+1:]...)
	}
	by := shapes("a")
	for name, c := range map[string]struct {
		shape   shape
		stretch stretch
		want    string // part of the fault; empty: none
	}{
		"everything":                   {by[0], stretch{from: 1, events: all, to: 9}, ""},
		"one missed":                   {by[0], stretch{from: 1, events: without(all, 1), to: 9}, "instead of {4 MODIFIED"},
		"the last missed":              {by[0], stretch{from: 1, events: without(all, 3), to: 9}, "missed {7"},
		"not yet so far":               {by[0], stretch{from: 1, events: without(all, 3), to: 6}, ""},
		"one twice":                    {by[0], stretch{from: 1, events: append(slices.Clone(all), all[3]), to: 9}, "which was not"},
		"of another kind":              {by[0], stretch{from: 1, events: changed(all, 1, event{4, "ADDED", "east/a", green}), to: 9}, "instead of {4 MODIFIED"},
		"another value":                {by[0], stretch{from: 1, events: changed(all, 1, event{4, "MODIFIED", "east/a", red}), to: 9}, "instead of"},
		"a namespace":                  {by[2], stretch{from: 1, events: all[2:], to: 9}, ""},
		"a label":                      {by[3], stretch{from: 1, events: labelled, to: 9}, ""},
		"a label, one left unsaid":     {by[3], stretch{from: 1, events: without(labelled, 1), to: 9}, "instead of {4 DELETED"},
		"began late":                   {by[0], stretch{from: 5, state: map[string]item{"east/a": green}, events: all[2:], to: 9}, ""},
		"began late with an old state": {by[0], stretch{from: 5, state: map[string]item{"east/a": red}, events: all[2:], to: 9}, "began at revision 5"},
		"before all that is known":     {by[0], stretch{from: 0, events: nil, to: 9}, ""},
	} {
		truth := &truth{[]*stretch{{from: 1, state: map[string]item{}, events: all, to: 9}}}
		f := &follower{shape: c.shape, stretches: []*stretch{&c.stretch}}
		_, err := f.check(truth)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	truth := &truth{[]*stretch{{from: 1, state: map[string]item{}, events: all, to: 9}}}
	for name, c := range map[string]struct {
		list listing
		want bool
	}{
		"as it was":  {listing{rev: 6, state: map[string]item{"east/a": green, "west/b": red}, belongs: by[0].belongs}, true},
		"too new":    {listing{rev: 5, state: map[string]item{"east/a": green, "west/b": red}, belongs: by[0].belongs}, false},
		"too old":    {listing{rev: 6, state: map[string]item{"east/a": green}, belongs: by[0].belongs}, false},
		"by a label": {listing{rev: 6, state: map[string]item{"west/b": red}, belongs: by[3].belongs}, true},
	} {
		if _, err := truth.checkLists([]listing{c.list}); (err == nil) != c.want {
			t.Errorf("list, %s: %v", name, err)
		}
	}
	if _, err := newTruth([]*follower{{stretches: []*stretch{{events: all}}}, {stretches: []*stretch{{events: changed(all, 0, event{3, "ADDED", "east/a", green})}}}}); err == nil {
		t.Error("two that say different things of one revision are believed")
	}
}
