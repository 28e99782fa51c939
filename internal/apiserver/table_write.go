package apiserver

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// tableList frames remembered rows by hand, in compact JSON.
func (c *call) tableList(objects []*cache.Object, lm metav1.ListMeta, o *metav1.TableOptions) error {
	head, err := c.tableHead(lm, o)
	if err == nil {
		err = c.readable(objects)
	}
	if err != nil {
		return err
	}
	name := objectName(c.res, o.IncludeObject)
	now := c.s.cfg.Now()
	return c.sendRendered(func(b *body) error {
		b.bytes(head)
		var scratch []byte
		for i, obj := range objects {
			cells, err := c.res.cellsJSON(obj, now)
			if err != nil {
				return err
			}
			if i > 0 {
				b.string(",")
			}
			b.string(rowHead)
			scratch = cells.AppendTo(scratch[:0])
			b.bytes(scratch[cellsHead:])
			b.string(rowObject)
			b.string(name)
			if scratch, err = c.res.appendRowObject(scratch[:0], obj, o.IncludeObject, c.out.Version); err != nil {
				return err
			}
			b.bytes(scratch[min(brace(name), len(scratch)):])
			b.string(rowTail)
		}
		b.string(endOfItems)
		return nil
	})
}

// What stands around the parts of a row.
const rowHead, rowObject, rowTail = `{"cells":`, `,"object":`, `}`

// objectName begins the object of each row where whole objects were asked for: an item lacks its kind.
func objectName(r *resource, include metav1.IncludeObjectPolicy) string {
	switch include {
	case metav1.IncludeNone:
		return "null"
	case metav1.IncludeObject:
		return string(bytes.TrimSuffix(nameJSON([]byte("{}"), r.GVK()), []byte("}"))) + ","
	}
	return ""
}

// brace is how much of an item the name replaces: its opening brace.
func brace(name string) int { return min(len(name), 1) }

func (c *call) tableHead(lm metav1.ListMeta, o *metav1.TableOptions) ([]byte, error) {
	t := &metav1.Table{ListMeta: lm, ColumnDefinitions: []metav1.TableColumnDefinition{}, Rows: []metav1.TableRow{}}
	if !o.NoHeaders {
		t.ColumnDefinitions = c.res.columns()
	}
	b, err := encodeItem(t)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(nameJSON(b, metaKind(c.out, string(negotiate.Table))), []byte("]}")), nil
}

// appendRowObject appends what of an object goes with its row: nothing where nothing does.
func (r *resource) appendRowObject(b []byte, o *cache.Object, include metav1.IncludeObjectPolicy, version string) ([]byte, error) {
	switch include {
	case metav1.IncludeNone:
		return b, nil
	case metav1.IncludeObject:
		return r.appendItem(b, o)
	}
	kind := r.memo + memoMetadata
	if version != "v1" {
		kind = r.memo + memoOldMetadata
	}
	return o.AppendRendered(b, kind, func(b []byte) ([]byte, error) {
		if out, ok := r.appendTranscodedMetadata(b, o, version); ok {
			return out, nil
		}
		m, err := r.metadataOf(o)
		if err != nil {
			return b, err
		}
		m.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/" + version, Kind: string(negotiate.Metadata)}
		j, err := json.Marshal(m)
		return append(b, j...), err
	})
}

// Cells say how old things are, so they hold for a while only. What is remembered of them begins with the times, in
// nanoseconds of Unix, from and until which they hold.
const cellsHead = 16

// steady are the times for which cells may stay as they are, the longest first. Ages grow in steps and never come back to
// what they were, so cells that are the same at both ends of a time are the same all through it.
var steady = []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second}

// cellsJSON renders the cells of an object's row behind cellsHead bytes.
func (r *resource) cellsJSON(o *cache.Object, now time.Time) (cache.Rendering, error) {
	at := uint64(now.UnixNano())
	holds := func(b []byte) bool {
		return binary.BigEndian.Uint64(b) <= at && at <= binary.BigEndian.Uint64(b[8:])
	}
	return o.Rendered(r.memo+memoCells, holds, func() ([]byte, error) {
		obj, err := r.rowSource(o)
		if err != nil {
			return nil, err
		}
		cells, err := r.cells(obj, now)
		if err != nil {
			return nil, err
		}
		until := now
		for _, d := range steady {
			later, err := r.cells(obj, now.Add(d))
			if err != nil {
				return nil, err
			}
			if slices.EqualFunc(later, cells, sameCell) {
				until = now.Add(d)
				break
			}
		}
		j, err := json.Marshal(cells)
		b := binary.BigEndian.AppendUint64(make([]byte, 0, cellsHead+len(j)), at)
		return append(binary.BigEndian.AppendUint64(b, uint64(until.UnixNano())), j...), err
	})
}

// sameCell compares cells, nearly all of which are strings.
func sameCell(a, b any) bool {
	if x, ok := a.(string); ok {
		y, ok := b.(string)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

// rowSource is the object, in the storage type, as rows are made of it: it may lack what they do not show.
func (r *resource) rowSource(o *cache.Object) (obj runtime.Object, err error) {
	if r.RowParts != nil {
		if obj, ok, err := r.rowParts(o); ok || err != nil {
			return obj, err
		}
	}
	if r.Storage == r.GVK() {
		return r.light(o)
	}
	return r.object(o)
}

// rowParts decodes only what rows are made of; ok is false for what is not protobuf.
func (r *resource) rowParts(o *cache.Object) (obj runtime.Object, ok bool, err error) {
	scratch := transcodings.Get().(*[]byte)
	defer transcodings.Put(scratch)
	err = o.ReadValue(func(value []byte) error {
		raw, err := rawMessage(value)
		if err != nil {
			return nil // decoding as usual tells what is wrong with it
		}
		*scratch, err = appendParts((*scratch)[:0], raw, r.RowParts)
		ok = err == nil
		return err
	})
	if !ok || err != nil {
		return nil, false, err
	}
	made, err := api.Scheme().New(r.Storage)
	if err != nil {
		return nil, false, err
	}
	return made, true, made.(interface{ Unmarshal([]byte) error }).Unmarshal(*scratch)
}
