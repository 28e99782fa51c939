package transcode

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	wireReader    = reflect.TypeFor[interface{ Unmarshal([]byte) error }]()
)

// marshals says whether a type has an encoding of its own: in JSON, or on the wire where it is no struct.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonMarshaler) || p.Implements(textMarshaler) || t.Kind() != reflect.Struct && p.Implements(wireReader)
}

// leafOf is the rule for a type that has its own JSON form; nil where there is none.
func leafOf(t reflect.Type) leaf {
	switch t {
	case reflect.TypeFor[metav1.Time]():
		return appendTime
	case reflect.TypeFor[metav1.FieldsV1]():
		return appendFields
	case reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString]():
		c := &seen{decode: decoding(t), rendered: map[string][]byte{}}
		return c.append
	case reflect.TypeFor[metav1.MicroTime](), reflect.TypeFor[metav1.Duration](), reflect.TypeFor[runtime.RawExtension]():
		return decoding(t)
	}
	return nil
}

// decoding decodes and encodes one value.
func decoding(t reflect.Type) leaf {
	return func(dst, message []byte) ([]byte, error) {
		v := reflect.New(t).Interface()
		if err := v.(interface{ Unmarshal([]byte) error }).Unmarshal(message); err != nil {
			return dst, ErrUnusual
		}
		b, err := json.Marshal(v)
		if err != nil {
			return dst, ErrUnusual
		}
		return append(dst, b...), nil
	}
}

// seen remembers renderings of values of which there are few: quantities and ports.
type seen struct {
	decode leaf

	mu       sync.RWMutex
	rendered map[string][]byte
}

const maxSeen = 4096

func (s *seen) append(dst, message []byte) ([]byte, error) {
	s.mu.RLock()
	b, ok := s.rendered[string(message)]
	s.mu.RUnlock()
	if ok {
		return append(dst, b...), nil
	}
	b, err := s.decode(nil, message)
	if err != nil {
		return dst, err
	}
	s.mu.Lock()
	if len(s.rendered) >= maxSeen {
		clear(s.rendered)
	}
	s.rendered[string(message)] = b
	s.mu.Unlock()
	return append(dst, b...), nil
}

// appendTime renders a Timestamp, of which the API shows whole seconds.
func appendTime(dst, message []byte) ([]byte, error) {
	if len(message) == 0 {
		return append(dst, "null"...), nil
	}
	seconds, rest, err := leadingVarint(message, 1)
	if err != nil {
		return dst, err
	}
	if _, rest, err = leadingVarint(rest, 2); err != nil || len(rest) > 0 {
		return dst, ErrUnusual
	}
	t := time.Unix(int64(seconds), 0).UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return dst, ErrUnusual
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339)
	return append(dst, '"'), nil
}

// leadingVarint reads a field of this number, below 16, from the front.
func leadingVarint(b []byte, number byte) (v uint64, rest []byte, err error) {
	if len(b) == 0 || b[0] != number<<3 {
		return 0, nil, ErrUnusual
	}
	v, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return 0, nil, ErrUnusual
	}
	return v, b[1+n:], nil
}

// appendFields renders FieldsV1: JSON that stands in the message as it is, for all that encoding/json would not touch.
func appendFields(dst, message []byte) ([]byte, error) {
	if len(message) == 0 || message[0] != 1<<3|2 {
		return dst, ErrUnusual
	}
	size, n := binary.Uvarint(message[1:])
	if n <= 0 || size != uint64(len(message)-1-n) {
		return dst, ErrUnusual
	}
	raw := message[1+n:]
	if plainFields(raw) {
		return append(dst, raw...), nil
	}
	if len(raw) < 2 || raw[0] != '{' {
		return dst, ErrUnusual
	}
	for _, c := range raw {
		if touched[c] {
			return dst, ErrUnusual
		}
	}
	if !json.Valid(raw) { // one such object would spoil a whole list
		return dst, ErrUnusual
	}
	return append(dst, raw...), nil
}

// deepest is how far plainFields follows.
const deepest = 1000

// plainFields says whether raw is what field sets nearly always are: objects of objects under names, with no
// byte that encoding/json may change. It is a tenth of the work of json.Valid, which is a third of that of rendering a Pod.
func plainFields(raw []byte) bool {
	depth := 0
	for at := 0; at < len(raw); {
		if raw[at] != '{' || depth == deepest { // a value begins
			return false
		}
		at, depth = at+1, depth+1
		closed := at < len(raw) && raw[at] == '}' // an empty one may end at once
		for closed {
			if at, depth = at+1, depth-1; depth == 0 {
				return at == len(raw)
			}
			closed = at < len(raw) && raw[at] == '}'
			if !closed {
				if at == len(raw) || raw[at] != ',' {
					return false
				}
				at++
			}
		}
		if at == len(raw) || raw[at] != '"' { // a name begins
			return false
		}
		if at = nameEnd(raw, at+1); at < 0 || at == len(raw) || raw[at] != ':' {
			return false
		}
		at++
	}
	return false
}

// nameEnd is where a name that goes on at this place has ended; negative where it is not plain.
func nameEnd(raw []byte, at int) int {
	for at < len(raw) {
		c := raw[at]
		if at++; !stops[c] {
			continue
		}
		switch {
		case c == '"':
			return at
		case c != '\\' || at == len(raw) || !escapes[raw[at]]:
			return -1
		}
		at++
	}
	return -1
}

// escapes are the bytes that stand alone behind a backslash.
var escapes = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// stops are the bytes at which a name ends, or is not plain.
var stops = func() (t [256]bool) {
	t = touched
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// touched are the bytes that encoding/json may change in JSON that it embeds: space, what browsers misread, and what
// begins the two line separators of Unicode.
var touched = func() (t [256]bool) {
	for _, c := range " \t\r\n<>&" {
		t[c] = true
	}
	t[0xe2] = true
	return t
}()
