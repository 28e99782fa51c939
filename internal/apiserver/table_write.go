package apiserver

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

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
			item, err := c.res.rowObject(obj, o.IncludeObject, c.out.Version)
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
			scratch = item.AppendTo(scratch[:0])
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

// rowObject is what of an object goes with its row. It is empty where nothing does.
func (r *resource) rowObject(o *cache.Object, include metav1.IncludeObjectPolicy, version string) (cache.Rendering, error) {
	switch include {
	case metav1.IncludeNone:
		return cache.Rendering{}, nil
	case metav1.IncludeObject:
		return r.itemRendered(o)
	}
	kind := r.memo + memoMetadata
	if version != "v1" {
		kind = r.memo + memoOldMetadata
	}
	return o.Rendered(kind, nil, func() ([]byte, error) {
		if b := r.transcodedMetadata(o, version); b != nil {
			return b, nil
		}
		m, err := r.metadataOf(o)
		if err != nil {
			return nil, err
		}
		m.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/" + version, Kind: string(negotiate.Metadata)}
		return json.Marshal(m)
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
			if reflect.DeepEqual(later, cells) {
				until = now.Add(d)
				break
			}
		}
		j, err := json.Marshal(cells)
		b := binary.BigEndian.AppendUint64(make([]byte, 0, cellsHead+len(j)), at)
		return append(binary.BigEndian.AppendUint64(b, uint64(until.UnixNano())), j...), err
	})
}

// rowSource is the object, in the storage type, as rows are made of it.
func (r *resource) rowSource(o *cache.Object) (runtime.Object, error) {
	if r.Storage == r.GVK() {
		return r.light(o)
	}
	return r.object(o)
}
