package cache

import (
	"iter"
	"maps"
	"slices"
)

// Pairs are names with values, such as labels, packed into one string: a map of the same takes five times the memory, and
// there is one for each object. Names are in order and differ. It is a labels.Labels and a fields.Fields.
//
//	length of name, name, length of value, value; ...
//
// A length is one byte below 255; 255 is followed by three more bytes, the least first.
type Pairs string

// PairsOf packs a map.
func PairsOf(m map[string]string) Pairs {
	if len(m) == 0 {
		return ""
	}
	return Pairs(appendPairs(nil, m))
}

func appendPairs(b []byte, m map[string]string) []byte {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b = appendText(appendText(b, name), m[name])
	}
	return b
}

// longText begins a length of four bytes.
const longText = 0xff

func appendText(b []byte, s string) []byte {
	if n := len(s); n < longText {
		b = append(b, byte(n))
	} else {
		b = append(b, longText, byte(n), byte(n>>8), byte(n>>16))
	}
	return append(b, s...)
}

// cut takes the first text off.
func (p Pairs) cut() (string, Pairs) {
	n, from := int(p[0]), 1
	if n == longText {
		n, from = int(p[1])|int(p[2])<<8|int(p[3])<<16, 4
	}
	return string(p[from : from+n]), p[from+n:]
}

// Lookup returns the value of a name, and whether it is there.
func (p Pairs) Lookup(name string) (value string, ok bool) {
	for len(p) > 0 {
		var n string
		n, p = p.cut()
		if value, p = p.cut(); n == name {
			return value, true
		}
	}
	return "", false
}

// Get returns the value of a name, "" where it is not there.
func (p Pairs) Get(name string) string {
	value, _ := p.Lookup(name)
	return value
}

// Has says whether the name is there.
func (p Pairs) Has(name string) bool {
	_, ok := p.Lookup(name)
	return ok
}

// All visits the pairs in the order of their names.
func (p Pairs) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for len(p) > 0 {
			var name, value string
			name, p = p.cut()
			if value, p = p.cut(); !yield(name, value) {
				return
			}
		}
	}
}

// Map unpacks them; nil where there are none.
func (p Pairs) Map() map[string]string {
	if p == "" {
		return nil
	}
	return maps.Collect(p.All())
}
