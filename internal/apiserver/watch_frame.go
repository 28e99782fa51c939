package apiserver

import (
	"encoding/binary"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// appendStored frames one watch event around a cached object, in one go: the same as appendEvent, or its form in JSON,
// with what body renders.
func (r *resource) appendStored(b []byte, kind string, o *cache.Object, media negotiate.Media) ([]byte, error) {
	if media == negotiate.Protobuf {
		return r.appendStoredProtobuf(b, kind, o)
	}
	begin := len(b)
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","object":{"kind":"`...)
	b = append(b, r.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, r.GroupVersion.String()...)
	b = append(b, '"')
	at := len(b)
	b, err := r.appendItem(b, o)
	if err != nil {
		return b[:begin], err
	}
	if len(b)-at > len("{}") {
		b[at] = ',' // in the place of the item's own brace
	} else {
		b = append(b[:at], '}')
	}
	return append(b, "}\n"...), nil
}

func (r *resource) appendStoredProtobuf(b []byte, kind string, o *cache.Object) ([]byte, error) {
	raw, whole, err := r.message(o)
	if err != nil {
		return b, err
	}
	inner := len(raw)
	if !whole {
		inner += versionSize(o.Revision)
	}
	var room [192]byte
	head := appendUnknown(room[:0], r.GVK(), inner)
	object := len(head) + inner + len(unknownTail)
	size := fieldSize(len(kind)) + fieldSize(fieldSize(object))
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = appendField(b, 1, kind)
	b = append(b, 2<<3|2)
	b = binary.AppendUvarint(b, uint64(fieldSize(object)))
	b = append(b, 1<<3|2)
	b = binary.AppendUvarint(b, uint64(object))
	b = append(b, head...)
	b = append(b, raw...)
	if !whole {
		b = appendVersion(b, o.Revision)
	}
	return append(b, unknownTail...), nil
}
