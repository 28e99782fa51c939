package ownership

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

var errShort = errors.New("the file is cut off or not of this form")

// Decode reads what Encode wrote into s.
func Decode(b []byte, s *schema.Schema) error {
	d := decoder{in: b}
	table := make([]string, d.count())
	for i := range table {
		n := d.count()
		if d.err != nil {
			return d.err
		}
		table[i], d.in = string(d.in[:n]), d.in[n:]
	}
	d.table = table
	s.Types = make([]schema.TypeDef, d.count())
	for i := range s.Types {
		s.Types[i].Name = d.str()
		d.atom(&s.Types[i].Atom)
		if d.err != nil {
			return d.err
		}
	}
	return d.err
}

type decoder struct {
	in    []byte
	table []string
	err   error
}

func (d *decoder) num() uint64 {
	n, size := binary.Uvarint(d.in)
	if size <= 0 {
		d.err, d.in = errShort, nil
		return 0
	}
	d.in = d.in[size:]
	return n
}

// count reads a number of things that follow; each takes a byte at least.
func (d *decoder) count() int {
	n := d.num()
	if n > uint64(len(d.in)) {
		d.err, d.in = errShort, nil
		return 0
	}
	return int(n)
}

func (d *decoder) str() string {
	i := d.num()
	if i >= uint64(len(d.table)) {
		d.err = errShort
		return ""
	}
	return d.table[i]
}

func (d *decoder) atom(a *schema.Atom) {
	bits := d.num()
	if bits&hasScalar != 0 {
		s := schema.Scalar(d.str())
		a.Scalar = &s
	}
	if bits&hasList != 0 {
		l := &schema.List{}
		d.ref(&l.ElementType)
		l.ElementRelationship = schema.ElementRelationship(d.str())
		for range d.count() {
			l.Keys = append(l.Keys, d.str())
		}
		a.List = l
	}
	if bits&hasMap != 0 {
		a.Map = &schema.Map{}
		d.mapping(a.Map)
	}
}

func (d *decoder) mapping(m *schema.Map) {
	if n := d.count(); n > 0 {
		m.Fields = make([]schema.StructField, n)
	}
	for i := range m.Fields {
		m.Fields[i].Name = d.str()
		d.ref(&m.Fields[i].Type)
		m.Fields[i].Default = d.fallback()
	}
	for range d.count() {
		var u schema.Union
		if name := d.str(); name != "" {
			u.Discriminator = &name
		}
		u.DeduceInvalidDiscriminator = d.num() != 0
		for range d.count() {
			u.Fields = append(u.Fields, schema.UnionField{FieldName: d.str(), DiscriminatorValue: d.str()})
		}
		m.Unions = append(m.Unions, u)
	}
	d.ref(&m.ElementType)
	m.ElementRelationship = schema.ElementRelationship(d.str())
}

func (d *decoder) ref(r *schema.TypeRef) {
	bits := d.num()
	if bits&isNamed != 0 {
		name := d.str()
		r.NamedType = &name
	} else {
		d.atom(&r.Inlined)
	}
	if bits&hasRelation != 0 {
		rel := schema.ElementRelationship(d.str())
		r.ElementRelationship = &rel
	}
	r.Nullable = bits&isNullable != 0
}

// fallback reads a default in the types that upstream's YAML parser gives.
func (d *decoder) fallback() any {
	text := d.str()
	switch text {
	case "":
		return nil
	case `""`:
		return ""
	case "0":
		return 0
	case "{}":
		return map[any]any{}
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		d.err = fmt.Errorf("default %q: %w", text, err)
	}
	return yamlable(v)
}

func yamlable(v any) any {
	switch d := v.(type) {
	case float64:
		return int(d)
	case map[string]any:
		out := make(map[any]any, len(d))
		for k, x := range d {
			out[k] = yamlable(x)
		}
		return out
	}
	return v
}
