package linear

import "github.com/anishathalye/porcupine"

// state is that of one object.
type state struct {
	there bool
	value string
}

// Object is the model: inputs are Requests, outputs Answers.
func Object() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byName,
		Init:      func() []any { return []any{state{}} },
		Step:      func(s, in, out any) []any { return step(s.(state), in.(Request), out.(Answer)) },
		DescribeOperation: func(in, out any) string {
			i, o := in.(Request), out.(Answer)
			return i.Verb + " " + i.Name + " " + i.Value + " (at " + i.At.Value + ") -> " + string(o.Kind) + " " + o.Value
		},
	}
	return m.ToModel()
}

func byName(history []porcupine.Operation) [][]porcupine.Operation {
	of := map[string][]porcupine.Operation{}
	for _, o := range history {
		name := o.Input.(Request).Name
		of[name] = append(of[name], o)
	}
	var all [][]porcupine.Operation
	for _, ops := range of {
		all = append(all, ops)
	}
	return all
}

// step returns the states that can follow s; none: the answer cannot be.
func step(s state, in Request, out Answer) []any {
	next, kind := apply(s, in)
	switch {
	case out.Kind == Unknown:
		return []any{s, next} // it happened then, or it never did
	case kind != out.Kind, in.Verb == "get" && kind == Done && s.value != out.Value:
		return nil
	}
	return []any{next}
}

// apply is the object itself.
func apply(s state, in Request) (next state, kind Outcome) {
	switch in.Verb {
	case "get":
		if !s.there {
			return s, Absent
		}
		return s, Done
	case "create":
		if s.there {
			return s, Exists
		}
		return state{true, in.Value}, Done
	case "apply":
		return state{true, in.Value}, Done
	case "sweep":
		return state{}, Done
	case "put", "cas", "delete", "drop":
		switch {
		case !s.there:
			return s, Absent
		case Guarded(in.Verb) && s.value != in.At.Value:
			return s, Conflict
		case in.Verb == "delete", in.Verb == "drop":
			return state{}, Done
		}
		return state{true, in.Value}, Done
	}
	panic("unknown verb " + in.Verb)
}
