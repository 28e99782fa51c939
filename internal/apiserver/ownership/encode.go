package ownership

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// What parts of a type follow in the file.
const (
	hasScalar = 1 << iota
	hasList
	hasMap
)

// What parts of a reference follow in the file. A bare one is followed by the type itself.
const (
	isNamed = 1 << iota
	hasRelation
	isNullable
)

// Encode writes a schema in the form of this package: numbers as uvarints, strings as numbers into a table that comes
// first, and depth first
//
//	schema   count of types, (name, type)...
//	type     bits, scalar?, list?, map?
//	list     reference, relation, count of keys, key...
//	map      count of fields, (name, reference, default as JSON or "")..., count of unions, union..., reference, relation
//	union    discriminator, deduce, count of fields, (name, value)...
//	reference  bits, name or type, relation?
func Encode(s *schema.Schema) ([]byte, error) {
	e := encoder{index: map[string]uint64{}}
	e.str("")
	e.body = nil
	e.num(uint64(len(s.Types)))
	for i := range s.Types {
		e.str(s.Types[i].Name)
		e.atom(&s.Types[i].Atom)
	}
	if e.err != nil {
		return nil, e.err
	}
	out := binary.AppendUvarint(nil, uint64(len(e.table)))
	for _, t := range e.table {
		out = append(binary.AppendUvarint(out, uint64(len(t))), t...)
	}
	return append(out, e.body...), nil
}

type encoder struct {
	index map[string]uint64
	table []string
	body  []byte
	err   error
}

func (e *encoder) num(n uint64) { e.body = binary.AppendUvarint(e.body, n) }

func (e *encoder) str(s string) {
	i, ok := e.index[s]
	if !ok {
		i = uint64(len(e.table))
		e.index[s] = i
		e.table = append(e.table, s)
	}
	e.num(i)
}

func (e *encoder) atom(a *schema.Atom) {
	e.num(bit(a.Scalar != nil, hasScalar) | bit(a.List != nil, hasList) | bit(a.Map != nil, hasMap))
	if a.Scalar != nil {
		e.str(string(*a.Scalar))
	}
	if l := a.List; l != nil {
		e.ref(&l.ElementType)
		e.str(string(l.ElementRelationship))
		e.num(uint64(len(l.Keys)))
		for _, k := range l.Keys {
			e.str(k)
		}
	}
	if a.Map != nil {
		e.mapping(a.Map)
	}
}

func (e *encoder) mapping(m *schema.Map) {
	e.num(uint64(len(m.Fields)))
	for i := range m.Fields {
		e.str(m.Fields[i].Name)
		e.ref(&m.Fields[i].Type)
		e.fallback(m.Fields[i].Default)
	}
	e.num(uint64(len(m.Unions)))
	for _, u := range m.Unions {
		if u.Discriminator == nil {
			e.str("")
		} else {
			e.str(*u.Discriminator)
		}
		e.num(bit(u.DeduceInvalidDiscriminator, 1))
		e.num(uint64(len(u.Fields)))
		for _, f := range u.Fields {
			e.str(f.FieldName)
			e.str(f.DiscriminatorValue)
		}
	}
	e.ref(&m.ElementType)
	e.str(string(m.ElementRelationship))
}

func (e *encoder) ref(r *schema.TypeRef) {
	e.num(bit(r.NamedType != nil, isNamed) | bit(r.ElementRelationship != nil, hasRelation) | bit(r.Nullable, isNullable))
	if r.NamedType != nil {
		e.str(*r.NamedType)
	} else {
		e.atom(&r.Inlined)
	}
	if r.ElementRelationship != nil {
		e.str(string(*r.ElementRelationship))
	}
}

// fallback writes a default.
func (e *encoder) fallback(v any) {
	if v == nil {
		e.str("")
		return
	}
	plain, err := jsonable(v)
	if err != nil {
		e.err = err
		return
	}
	text, err := json.Marshal(plain)
	if err != nil {
		e.err = err
	}
	e.str(string(text))
}

// jsonable turns what a YAML parser makes into what JSON can say.
func jsonable(v any) (any, error) {
	switch d := v.(type) {
	case string, int, bool:
		return v, nil
	case map[any]any:
		out := make(map[string]any, len(d))
		for k, x := range d {
			y, err := jsonable(x)
			if err != nil {
				return nil, err
			}
			out[fmt.Sprint(k)] = y
		}
		return out, nil
	}
	return nil, fmt.Errorf("a default of type %T has no form here", v)
}

func bit(on bool, b uint64) uint64 {
	if on {
		return b
	}
	return 0
}
