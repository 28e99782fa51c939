package script

import "testing"

// TestWatchersAreCompared: a write that one watcher missed is found, one in a gap is not a fault.
func TestWatchersAreCompared(t *testing.T) {
	all := []event{{3, "ADDED a 1"}, {5, "MODIFIED a 2"}}
	for name, c := range map[string]struct {
		second *viewer
		acked  map[int64]string
		want   bool
	}{
		"the same":             {&viewer{at: 9, events: all}, map[int64]string{3: "create a"}, true},
		"one missed":           {&viewer{at: 9, events: all[:1]}, nil, false},
		"one in a gap":         {&viewer{at: 9, events: all[:1], gaps: []gap{{4, 6}}}, nil, true},
		"not yet so far":       {&viewer{at: 4, events: all[:1]}, nil, true},
		"another object":       {&viewer{at: 9, events: []event{{3, "ADDED b 1"}, {5, "MODIFIED a 2"}}}, nil, false},
		"nobody saw the write": {&viewer{at: 9, events: all}, map[int64]string{4: "put a"}, false},
	} {
		h := &chronicle{viewers: []*viewer{{at: 9, events: all}, c.second}, acked: c.acked}
		if err := h.compare(); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
