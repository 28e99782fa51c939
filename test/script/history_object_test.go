package script

import "github.com/anishathalye/porcupine"

// A request is one a client makes of one object.
type request struct {
	name, verb string // get, create, put (whatever is there), cas (what was read at), delete
	value      string
	at         seenAt // of cas
}

// seenAt is a state that a client has read, and its revision.
type seenAt struct{ revision, value string }

// An answer is what came of it. revision is that of the object, as it was read or written.
type answer struct {
	kind            outcome
	value, revision string
	why             string
}

type outcome string

const (
	done     outcome = "done"
	exists   outcome = "exists"
	absent   outcome = "absent"
	conflict outcome = "conflict"
	unknown  outcome = "unknown" // it happened, or it did not, or will
	unsent   outcome = "unsent"  // nobody listened: it did not happen
)

// verbs are drawn from.
var verbs = []string{"get", "get", "get", "create", "create", "put", "cas", "cas", "delete"}

// object1 is the state of one object.
type object1 struct {
	there bool
	value string
}

// object is how one object behaves when one request comes after the other.
func object() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byName,
		Init:      func() []any { return []any{object1{}} },
		Step:      func(s, in, out any) []any { return step(s.(object1), in.(request), out.(answer)) },
		DescribeOperation: func(in, out any) string {
			i, o := in.(request), out.(answer)
			return i.verb + " " + i.name + " " + i.value + " (at " + i.at.value + ") -> " + string(o.kind) + " " + o.value
		},
	}
	return m.ToModel()
}

func byName(history []porcupine.Operation) [][]porcupine.Operation {
	of := map[string][]porcupine.Operation{}
	for _, o := range history {
		name := o.Input.(request).name
		of[name] = append(of[name], o)
	}
	var all [][]porcupine.Operation
	for _, ops := range of {
		all = append(all, ops)
	}
	return all
}

// step returns the states that can follow s; none: the answer cannot be.
func step(s object1, in request, out answer) []any {
	next, kind := apply(s, in)
	switch {
	case out.kind == unknown:
		return []any{s, next} // it happened then, or it never did
	case kind != out.kind, in.verb == "get" && kind == done && s.value != out.value:
		return nil
	}
	return []any{next}
}

// apply is the object itself.
func apply(s object1, in request) (next object1, kind outcome) {
	switch in.verb {
	case "get":
		if !s.there {
			return s, absent
		}
		return s, done
	case "create":
		if s.there {
			return s, exists
		}
		return object1{true, in.value}, done
	case "put", "cas", "delete":
		switch {
		case !s.there:
			return s, absent
		case in.verb == "cas" && s.value != in.at.value:
			return s, conflict
		case in.verb == "delete":
			return object1{}, done
		}
		return object1{true, in.value}, done
	}
	panic("unknown verb " + in.verb)
}
