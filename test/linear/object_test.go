package linear

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// TestObject: the model must let the checker find what it looks for.
func TestObject(t *testing.T) {
	at := func(call, end int64, in Request, out Answer) porcupine.Operation {
		in.Name = "o"
		return porcupine.Operation{Call: call, Return: end, Input: in, Output: out}
	}
	create := at(1, 2, Request{Verb: "create", Value: "a"}, Answer{Kind: Done})
	lost := at(1, 1<<60, Request{Verb: "create", Value: "a"}, Answer{Kind: Unknown})
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"read what was written":         {[]porcupine.Operation{create, at(3, 4, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"})}, true},
		"an acknowledged write is lost": {[]porcupine.Operation{create, at(3, 4, Request{Verb: "get"}, Answer{Kind: Absent})}, false},
		"a stale read": {[]porcupine.Operation{create, at(3, 4, Request{Verb: "put", Value: "b"}, Answer{Kind: Done}),
			at(5, 6, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"})}, false},
		"at the same time": {[]porcupine.Operation{create, at(3, 6, Request{Verb: "put", Value: "b"}, Answer{Kind: Done}),
			at(4, 5, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"})}, true},
		"both won a race": {[]porcupine.Operation{create, at(3, 6, Request{Verb: "cas", Value: "b", At: Seen{Value: "a"}}, Answer{Kind: Done}),
			at(3, 6, Request{Verb: "cas", Value: "c", At: Seen{Value: "a"}}, Answer{Kind: Done})}, false},
		"applied over what was there": {[]porcupine.Operation{create, at(3, 4, Request{Verb: "apply", Value: "b"}, Answer{Kind: Done}),
			at(5, 6, Request{Verb: "get"}, Answer{Kind: Done, Value: "b"})}, true},
		"dropped what was there before": {[]porcupine.Operation{create, at(3, 4, Request{Verb: "put", Value: "b"}, Answer{Kind: Done}),
			at(5, 6, Request{Verb: "drop", At: Seen{Value: "a"}}, Answer{Kind: Done})}, false},
		"swept, and still there": {[]porcupine.Operation{create, at(3, 4, Request{Verb: "sweep"}, Answer{Kind: Done}),
			at(5, 6, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"})}, false},
		"unknown, happened":   {[]porcupine.Operation{lost, at(3, 4, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"})}, true},
		"unknown, did not":    {[]porcupine.Operation{lost, at(3, 4, Request{Verb: "get"}, Answer{Kind: Absent})}, true},
		"unknown, and undone": {[]porcupine.Operation{lost, at(3, 4, Request{Verb: "get"}, Answer{Kind: Done, Value: "a"}), at(5, 6, Request{Verb: "get"}, Answer{Kind: Absent})}, false},
	} {
		if got := porcupine.CheckOperations(Object(), c.ops); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
