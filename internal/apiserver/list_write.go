package apiserver

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// answerList writes a page in the form that was asked for, out of stored or remembered bytes where that is possible.
func (c *call) answerList(p *page) error {
	switch c.out.Shape {
	case negotiate.Table:
		return c.table(http.StatusOK, p.objects, p.meta)
	case negotiate.Metadata:
		return wrongShape(c.out.Shape, "a list ("+api.InternalName(schema.GroupKind{Group: c.gr().Group, Kind: c.res.ListKind})+")")
	case negotiate.Metas:
		return c.metadataList(p)
	}
	gvk := c.res.GroupVersion.WithKind(c.res.ListKind)
	if c.out.Media == negotiate.Protobuf {
		return c.protobufList(p, gvk)
	}
	return c.jsonList(p, gvk)
}

// jsonList frames rendered items by hand.
func (c *call) jsonList(p *page, gvk schema.GroupVersionKind) error {
	m, err := json.Marshal(p.meta)
	if err != nil {
		return err
	}
	fill := func(b *body) error {
		b.string(`{"kind":"` + gvk.Kind + `","apiVersion":"` + gvk.GroupVersion().String() + `","metadata":` + string(m) + `,"items":[`)
		var scratch []byte
		var err error
		for i, o := range p.objects {
			if i > 0 {
				b.string(",")
			}
			if scratch, err = c.res.appendItem(scratch[:0], o); err != nil {
				return err
			}
			b.bytes(scratch)
		}
		b.string(endOfItems)
		return nil
	}
	if err := c.readable(p.objects); err != nil {
		return err
	}
	if c.out.Media == negotiate.JSON && !c.out.Pretty {
		return c.sendRendered(fill)
	}
	var whole bytes.Buffer
	if writeErr := writeThrough(&whole, func(b *body) { err = fill(b) }); err != nil || writeErr != nil {
		return errors.Join(err, writeErr)
	}
	finished, err := finishJSON(bytes.TrimSuffix(whole.Bytes(), []byte("\n")), c.out)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, finished)
	return nil
}

// readable finds those of the objects whose stored bytes are damaged, while there is still time to answer with that.
func (c *call) readable(objects []*cache.Object) error {
	for _, o := range objects {
		if o.Err == nil {
			continue
		}
		if _, err := c.res.object(o); err != nil {
			return err
		}
	}
	return nil
}

const endOfItems = "]}\n"

// protobufList frames stored messages by hand: each gets its resourceVersion appended.
func (c *call) protobufList(p *page, gvk schema.GroupVersionKind) error {
	sizes, total, err := c.messageSizes(p)
	if err != nil {
		return err
	}
	head, err := listHead(gvk, &p.meta, total)
	if err != nil {
		return err
	}
	c.sendBody(len(head)+total+len(unknownTail), func(b *body) {
		b.bytes(head)
		var scratch []byte
		for i, o := range p.objects {
			var raw []byte
			raw, scratch = c.res.messageInto(scratch, o)
			b.room(itemFrame)
			b.buf = append(b.buf, tagItems)
			b.buf = binary.AppendUvarint(b.buf, uint64(sizes[i]))
			b.bytes(raw)
			if sizes[i] > len(raw) {
				b.room(itemFrame)
				b.buf = appendVersion(b.buf, o.Revision)
			}
		}
		b.bytes(unknownTail)
	})
	return nil
}

// itemFrame is more than what goes before or after an item's message.
const itemFrame = 32

// messageSizes returns the size of each object's message in the list, and the framed size of all.
func (c *call) messageSizes(p *page) (sizes []int, total int, err error) {
	sizes = make([]int, len(p.objects))
	for i, o := range p.objects {
		if sizes[i] = int(o.Body.To - o.Body.From); sizes[i] == 0 || c.res.Storage != c.res.GVK() {
			raw, whole, err := c.res.message(o)
			if err != nil {
				return nil, 0, err
			}
			if sizes[i] = len(raw); whole {
				total += fieldSize(sizes[i])
				continue
			}
		}
		sizes[i] += versionSize(o.Revision)
		total += fieldSize(sizes[i])
	}
	return sizes, total, nil
}

// messageInto is message for an object whose size is known. Where its value is packed it stands in scratch, which comes
// back for the next.
func (r *resource) messageInto(scratch []byte, o *cache.Object) (raw, rest []byte) {
	if o.Body.To > o.Body.From && r.Storage == r.GVK() {
		scratch = o.AppendValue(scratch[:0])
		return scratch[o.Body.From:o.Body.To], scratch
	}
	raw, _, err := r.message(o)
	if err != nil {
		panic(http.ErrAbortHandler) // it could be read a moment ago
	}
	return raw, scratch
}

// metadataList answers with the objects' metadata alone.
func (c *call) metadataList(p *page) error {
	list := &metav1.PartialObjectMetadataList{ListMeta: p.meta} // an empty one has no items at all, as upstream's
	list.Items = slices.Grow(list.Items, len(p.objects))
	item := metaKind(c.out, string(negotiate.Metadata))
	for _, o := range p.objects {
		m, err := c.res.metadataOf(o)
		if err != nil {
			return err
		}
		if c.out.Media != negotiate.Protobuf {
			m.APIVersion, m.Kind = item.GroupVersion().String(), item.Kind
		}
		list.Items = append(list.Items, *m)
	}
	return c.reply(http.StatusOK, list, metaKind(c.out, string(negotiate.Metas)))
}
