package linear

import "slices"

// A Request is one that a client makes of one object.
type Request struct {
	Name  string
	Verb  string // one of Verbs
	Value string // to be written; all values of a history are different
	At    Seen   // of those that are Guarded
}

// Seen is a state that a client has read, and its revision.
type Seen struct{ Revision, Value string }

// Verbs are drawn from: get, create, put (whatever is there), cas (what was read at), delete.
var Verbs = []string{"get", "get", "get", "create", "create", "put", "cas", "cas", "delete"}

// More are all verbs, for clients that know of: apply (server-side, with force), drop (delete what was read at), sweep (delete
// what there may be, as one of a collection).
var More = append(slices.Clone(Verbs), "apply", "apply", "drop", "sweep")

// Guarded says whether a verb names the state that it was read at.
func Guarded(verb string) bool { return verb == "cas" || verb == "drop" }

// An Answer is what came of a request. Revision is that of the object, as it was read or written.
type Answer struct {
	Kind            Outcome
	Value, Revision string
	Why             string // of Unknown and Unsent
}

// Outcome is the kind of an answer.
type Outcome string

// The outcomes.
const (
	Done     Outcome = "done"
	Exists   Outcome = "exists"
	Absent   Outcome = "absent"
	Conflict Outcome = "conflict"
	Unknown  Outcome = "unknown" // it happened, or it did not, or will
	Unsent   Outcome = "unsent"  // nobody listened: it did not happen
)

// Tells says whether the answer says anything of the object. A put may be refused because others wrote at the same time.
func Tells(in Request, out Answer) bool {
	switch out.Kind {
	case Unsent:
		return false
	case Unknown:
		return in.Verb != "get"
	case Conflict:
		return Guarded(in.Verb)
	}
	return true
}
