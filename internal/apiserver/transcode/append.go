package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
)

// span is where a field stands in its message.
type span struct {
	begin, end int32 // of all its occurrences, tags included
	from       int32 // where the value of the only occurrence begins; for varints that is the value's number
	count      int32
	number     uint64
}

// writer holds what one rendering needs beside its result.
type writer struct {
	dst   []byte
	spans []span // a stack: each message at work has one for each of its fields
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// Append renders an object's message with this resourceVersion, which stored messages lack. dst is returned as it was,
// but for what lies behind its length, with ErrUnusual.
func (p *Plan) Append(dst, message []byte, version string) ([]byte, error) {
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.dst, w.spans = dst, w.spans[:0]
	err := w.message(p, message, version, true)
	out := w.dst
	w.dst = nil
	if err != nil {
		return dst, err
	}
	return out, nil
}

// message renders a message with its braces. version is for the metadata of the outermost one.
func (w *writer) message(p *Plan, b []byte, version string, outermost bool) error {
	w.dst = append(w.dst, '{')
	start := len(w.dst)
	if err := w.fields(p, b, version, outermost); err != nil {
		return err
	}
	if len(w.dst) > start { // each field has left a comma behind it
		w.dst = w.dst[:len(w.dst)-1]
	}
	w.dst = append(w.dst, '}')
	return nil
}

func (w *writer) fields(p *Plan, b []byte, version string, outermost bool) error {
	base := len(w.spans)
	for range p.fields {
		w.spans = append(w.spans, span{})
	}
	if err := p.scan(b, w.spans[base:]); err != nil {
		return err
	}
	for i := range p.fields {
		f, s := &p.fields[i], w.spans[base+i]
		switch {
		case f.version && version != "":
			w.dst = append(append(w.dst, f.name...), '"')
			w.dst = append(append(w.dst, version...), '"', ',')
		case f.sub != nil && f.sub.meta && outermost && f.form == formMessage:
			if s.count == 0 {
				return ErrUnusual
			}
			w.dst = append(w.dst, f.name...)
			if err := w.message(f.sub, b[s.from:s.end], version, false); err != nil {
				return err
			}
			w.dst = append(w.dst, ',')
		default:
			if err := w.field(f, b, s); err != nil {
				return err
			}
		}
	}
	w.spans = w.spans[:base]
	return nil
}

// scan finds the fields of a message.
func (p *Plan) scan(b []byte, spans []span) error {
	for at := 0; at < len(b); {
		tag, n := binary.Uvarint(b[at:])
		if n <= 0 || tag>>3 >= uint64(len(p.slots)) || p.slots[tag>>3] < 0 {
			return ErrUnusual
		}
		f, s := &p.fields[p.slots[tag>>3]], &spans[p.slots[tag>>3]]
		begin := at
		at += n
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			return ErrUnusual
		}
		at += n
		from := at
		if f.varint() {
			if tag&7 != 0 {
				return ErrUnusual
			}
			s.number = v
		} else {
			if tag&7 != 2 || v > uint64(len(b)-at) {
				return ErrUnusual
			}
			at += int(v)
		}
		switch {
		case s.count == 0:
			s.begin, s.from = int32(begin), int32(from)
		case !f.repeated && f.form != formMap || s.end != int32(begin):
			return ErrUnusual
		}
		s.end = int32(at)
		s.count++
	}
	return nil
}

func (f *field) varint() bool { return f.form == formBool || f.form == formInt || f.form == formInt32 }

// field renders one field with its name and a comma, or nothing.
func (w *writer) field(f *field, b []byte, s span) error {
	if f.form == formInline {
		return w.fields(f.sub, b[s.from:s.end], "", false)
	}
	if s.count == 0 {
		if f.absent != nil {
			w.dst = append(append(w.dst, f.absent...), ',')
		}
		return nil
	}
	if f.form == formHidden || f.form == formNone {
		return nil
	}
	if !f.repeated && !f.pointer && f.empty(s) {
		return nil
	}
	w.dst = append(w.dst, f.name...)
	var err error
	switch {
	case f.form == formMap:
		err = w.mapping(f, b[s.begin:s.end])
	case f.repeated:
		err = w.list(f, b[s.begin:s.end])
	default:
		err = w.value(f, b[s.from:s.end], s.number)
	}
	w.dst = append(w.dst, ',')
	return err
}

// empty says whether JSON leaves a value out that is on the wire.
func (f *field) empty(s span) bool {
	zero := false
	switch f.form {
	case formText, formBytes:
		zero = s.from == s.end
	case formBool, formInt, formInt32:
		zero = s.number == 0
	case formLeaf:
		return f.omitZero && s.from == s.end
	default:
		return false
	}
	return zero && (f.omitEmpty || f.omitZero)
}

// value renders one value: its bytes, or its number where it is a varint.
func (w *writer) value(f *field, b []byte, number uint64) (err error) {
	switch f.form {
	case formText:
		w.dst, err = appendText(w.dst, b)
	case formBool:
		w.dst = strconv.AppendBool(w.dst, number != 0)
	case formInt:
		w.dst = strconv.AppendInt(w.dst, int64(number), 10)
	case formInt32:
		w.dst = strconv.AppendInt(w.dst, int64(int32(number)), 10)
	case formBytes:
		w.dst = append(w.dst, '"')
		w.dst = base64.StdEncoding.AppendEncode(w.dst, b)
		w.dst = append(w.dst, '"')
	case formMessage:
		err = w.message(f.sub, b, "", false)
	case formLeaf:
		w.dst, err = f.leaf(w.dst, b)
	default:
		err = ErrUnusual
	}
	return err
}

// list renders the occurrences of a repeated field, which scan has found to follow one another.
func (w *writer) list(f *field, b []byte) error {
	w.dst = append(w.dst, '[')
	for at := 0; at < len(b); {
		_, n := binary.Uvarint(b[at:])
		at += n
		v, n := binary.Uvarint(b[at:])
		at += n
		from := at
		if !f.varint() {
			at += int(v)
		}
		if err := w.value(f, b[from:at], v); err != nil {
			return err
		}
		w.dst = append(w.dst, ',')
	}
	w.dst[len(w.dst)-1] = ']'
	return nil
}

// mapping renders the entries of a map, whose keys must be in order.
func (w *writer) mapping(f *field, b []byte) error {
	w.dst = append(w.dst, '{')
	var last []byte
	for at := 0; at < len(b); {
		_, n := binary.Uvarint(b[at:])
		at += n
		size, n := binary.Uvarint(b[at:])
		at += n
		key, value, number, err := f.entry(b[at : at+int(size)])
		if err != nil || last != nil && bytes.Compare(last, key) >= 0 {
			return ErrUnusual
		}
		if last = key; last == nil {
			last = []byte{}
		}
		at += int(size)
		if w.dst, err = appendText(w.dst, key); err != nil {
			return err
		}
		w.dst = append(w.dst, ':')
		if err := w.value(f.value, value, number); err != nil {
			return err
		}
		w.dst = append(w.dst, ',')
	}
	w.dst[len(w.dst)-1] = '}'
	return nil
}

// entry reads key and value of one entry.
func (f *field) entry(b []byte) (key, value []byte, number uint64, err error) {
	if len(b) == 0 || b[0] != 1<<3|2 {
		return nil, nil, 0, ErrUnusual
	}
	size, n := binary.Uvarint(b[1:])
	if n <= 0 || size > uint64(len(b)-1-n) {
		return nil, nil, 0, ErrUnusual
	}
	key, b = b[1+n:1+n+int(size)], b[1+n+int(size):]
	wire := byte(2)
	if f.value.varint() {
		wire = 0
	}
	if len(b) == 0 || b[0] != 2<<3|wire {
		return nil, nil, 0, ErrUnusual
	}
	number, n = binary.Uvarint(b[1:])
	if n <= 0 {
		return nil, nil, 0, ErrUnusual
	}
	b = b[1+n:]
	if wire == 0 && len(b) == 0 {
		return key, nil, number, nil
	}
	if wire == 0 || number != uint64(len(b)) {
		return nil, nil, 0, ErrUnusual
	}
	return key, b, 0, nil
}
