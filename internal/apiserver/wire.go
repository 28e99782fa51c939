package apiserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
)

// The protobuf form of any object is "k8s\0" and a runtime.Unknown: its kind, then the object's own message as bytes. These
// functions frame stored messages for clients without decoding them. An object's metadata is field 1 of every message;
// protobuf merges a second occurrence into the first, so the resourceVersion, which stored bytes lack, is appended.

var magic = []byte("k8s\x00")

// Tags of the fields that are read or written by hand: number<<3 | 2 (length-delimited).
const (
	tagUnknownType = 1<<3 | 2
	tagUnknownRaw  = 2<<3 | 2
	tagMetadata    = 1<<3 | 2
	tagVersion     = 6<<3 | 2 // ObjectMeta.resourceVersion
	tagItems       = 2<<3 | 2
)

var errNotProtobuf = errors.New("stored value is not protobuf")

// rawMessage returns the object's own message out of its stored form, or errNotProtobuf.
func rawMessage(stored []byte) ([]byte, error) {
	if len(stored) < 4 || string(stored[:4]) != string(magic) {
		return nil, errNotProtobuf
	}
	raw, found, err := lastField(stored[4:], 2)
	if err == nil && !found {
		err = errNotProtobuf
	}
	return raw, err
}

// lastField returns the last occurrence of a length-delimited field of a message.
func lastField(b []byte, number uint64) (value []byte, found bool, err error) {
	err = eachField(b, func(n uint64, v []byte) {
		if n == number {
			value, found = v, true
		}
	})
	return value, found, err
}

// eachField walks the length-delimited fields of a message and skips the others.
func eachField(b []byte, each func(number uint64, value []byte)) error {
	for len(b) > 0 {
		number, value, size, err := nextField(b)
		if err != nil {
			return err
		}
		if value != nil {
			each(number, value)
		}
		b = b[size:]
	}
	return nil
}

// nextField reads the first field of a message: its number, its value where that is length-delimited (never nil then),
// and how many bytes it takes.
func nextField(b []byte) (number uint64, value []byte, size int, err error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, 0, fmt.Errorf("protobuf: bad tag")
	}
	rest := b[n:]
	switch tag & 7 {
	case 0:
		if _, size = binary.Uvarint(rest); size <= 0 {
			return 0, nil, 0, fmt.Errorf("protobuf: bad varint")
		}
	case 1:
		size = 8
	case 5:
		size = 4
	case 2:
		length, m := binary.Uvarint(rest)
		if m <= 0 || length > uint64(len(rest)-m) {
			return 0, nil, 0, fmt.Errorf("protobuf: bad length")
		}
		size = m + int(length)
		value = rest[m:size:size]
	default:
		return 0, nil, 0, fmt.Errorf("protobuf: wire type %d", tag&7)
	}
	if size > len(rest) {
		return 0, nil, 0, fmt.Errorf("protobuf: message is cut off")
	}
	return tag >> 3, value, n + size, nil
}

// without calls others with the stretches of a message between its length-delimited fields of this number, and found
// with those fields' values.
func without(b []byte, number uint64, others, found func([]byte) error) error {
	begin, at := 0, 0
	for at < len(b) {
		n, value, size, err := nextField(b[at:])
		if err != nil {
			return err
		}
		if n == number && value != nil {
			if begin < at {
				if err := others(b[begin:at]); err != nil {
					return err
				}
			}
			if err := found(value); err != nil {
				return err
			}
			begin = at + size
		}
		at += size
	}
	if begin < at {
		return others(b[begin:at])
	}
	return nil
}

// appendVersion appends the metadata field that carries only a resourceVersion.
func appendVersion(b []byte, revision int64) []byte {
	var digits [20]byte
	d := strconv.AppendInt(digits[:0], revision, 10)
	b = append(b, tagMetadata, byte(len(d)+2), tagVersion, byte(len(d)))
	return append(b, d...)
}

// versionSize is the length of what appendVersion appends.
func versionSize(revision int64) int {
	n := 5
	for revision >= 10 {
		revision /= 10
		n++
	}
	return n
}

// unknownTail are the two empty strings that end every Unknown that upstream writes.
var unknownTail = []byte{3<<3 | 2, 0, 4<<3 | 2, 0}

// appendUnknown appends everything of the protobuf form of a gvk object that comes before its message of size bytes.
func appendUnknown(b []byte, gvk schema.GroupVersionKind, size int) []byte {
	av := gvk.GroupVersion().String()
	b = append(b, magic...)
	b = append(b, tagUnknownType)
	b = binary.AppendUvarint(b, uint64(fieldSize(len(av))+fieldSize(len(gvk.Kind))))
	b = appendField(b, 1, av)
	b = appendField(b, 2, gvk.Kind)
	b = append(b, tagUnknownRaw)
	return binary.AppendUvarint(b, uint64(size))
}

func appendField[T string | []byte](b []byte, number int, v T) []byte {
	b = append(b, byte(number<<3|2))
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func fieldSize(n int) int { return 1 + uvarintSize(n) + n }

func uvarintSize(n int) int {
	s := 1
	for n >= 0x80 {
		n >>= 7
		s++
	}
	return s
}

// frameObject is the protobuf form of one object given its stored message.
func frameObject(gvk schema.GroupVersionKind, raw []byte, revision int64) []byte {
	size := len(raw)
	if revision > 0 {
		size += versionSize(revision)
	}
	b := make([]byte, 0, size+len(gvk.Group)+len(gvk.Version)+len(gvk.Kind)+32)
	b = appendUnknown(b, gvk, size)
	b = append(b, raw...)
	if revision > 0 { // what was only tried has none
		b = appendVersion(b, revision)
	}
	return append(b, unknownTail...)
}

// listHead is everything of a protobuf list before its items, whose framed sizes sum up to items.
func listHead(gvk schema.GroupVersionKind, lm *metav1.ListMeta, items int) ([]byte, error) {
	m, err := lm.Marshal()
	if err != nil {
		return nil, err
	}
	b := appendUnknown(make([]byte, 0, 128+len(m)), gvk, fieldSize(len(m))+items)
	return appendField(b, 1, m), nil
}

// appendEvent frames one watch event: its length, then the WatchEvent around the object's protobuf form.
func appendEvent(b []byte, kind string, object []byte) []byte {
	size := fieldSize(len(kind)) + fieldSize(fieldSize(len(object)))
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = appendField(b, 1, kind)
	b = append(b, 2<<3|2)
	b = binary.AppendUvarint(b, uint64(fieldSize(len(object))))
	return appendField(b, 1, object)
}

// appendParts appends the parts of a message.
func appendParts(b, message []byte, parts api.Parts) ([]byte, error) {
	for len(message) > 0 {
		number, value, size, err := nextField(message)
		if err != nil {
			return b, err
		}
		inner, wanted := parts[number]
		switch {
		case !wanted:
		case inner == nil || value == nil:
			b = append(b, message[:size]...)
		default:
			// The length goes before what it is the length of, which is no longer than it was whole.
			head := len(b)
			b = append(b, message[:size-len(value)]...)
			body := len(b)
			if b, err = appendParts(b, value, inner); err != nil {
				return b, err
			}
			b = closeMessage(b, head, body, number)
		}
		message = message[size:]
	}
	return b, nil
}

// closeMessage puts the tag and the length of what begins at body into the room from head on.
func closeMessage(b []byte, head, body int, number uint64) []byte {
	var room [2 * binary.MaxVarintLen64]byte
	front := binary.AppendUvarint(room[:0], number<<3|2)
	front = binary.AppendUvarint(front, uint64(len(b)-body))
	n := copy(b[head:], front)
	return append(b[:head+n], b[body:]...)
}
