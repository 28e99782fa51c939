package script

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// TestJudge: the history's judge must find what it looks for.
func TestJudge(t *testing.T) {
	at := func(call, end int64, in request, out answer) porcupine.Operation {
		in.name = "o"
		return porcupine.Operation{Call: call, Return: end, Input: in, Output: out}
	}
	create := at(1, 2, request{verb: "create", value: "a"}, answer{kind: done})
	lost := at(1, 1<<60, request{verb: "create", value: "a"}, answer{kind: unknown})
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"read what was written":         {[]porcupine.Operation{create, at(3, 4, request{verb: "get"}, answer{kind: done, value: "a"})}, true},
		"an acknowledged write is lost": {[]porcupine.Operation{create, at(3, 4, request{verb: "get"}, answer{kind: absent})}, false},
		"a stale read": {[]porcupine.Operation{create, at(3, 4, request{verb: "put", value: "b"}, answer{kind: done}),
			at(5, 6, request{verb: "get"}, answer{kind: done, value: "a"})}, false},
		"at the same time": {[]porcupine.Operation{create, at(3, 6, request{verb: "put", value: "b"}, answer{kind: done}),
			at(4, 5, request{verb: "get"}, answer{kind: done, value: "a"})}, true},
		"both won a race": {[]porcupine.Operation{create, at(3, 6, request{verb: "cas", value: "b", at: seenAt{value: "a"}}, answer{kind: done}),
			at(3, 6, request{verb: "cas", value: "c", at: seenAt{value: "a"}}, answer{kind: done})}, false},
		"unknown, happened":   {[]porcupine.Operation{lost, at(3, 4, request{verb: "get"}, answer{kind: done, value: "a"})}, true},
		"unknown, did not":    {[]porcupine.Operation{lost, at(3, 4, request{verb: "get"}, answer{kind: absent})}, true},
		"unknown, and undone": {[]porcupine.Operation{lost, at(3, 4, request{verb: "get"}, answer{kind: done, value: "a"}), at(5, 6, request{verb: "get"}, answer{kind: absent})}, false},
	} {
		if got := porcupine.CheckOperations(object(), c.ops); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

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
