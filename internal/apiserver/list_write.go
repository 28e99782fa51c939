package apiserver

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	items := make([]cache.Rendering, len(p.objects))
	for i, o := range p.objects {
		item, err := c.res.itemRendered(o)
		if err != nil {
			return err
		}
		items[i] = item
	}
	return c.jsonList(items, p.meta, gvk)
}

// jsonList frames rendered items by hand.
func (c *call) jsonList(items []cache.Rendering, lm metav1.ListMeta, gvk schema.GroupVersionKind) error {
	m, err := json.Marshal(lm)
	if err != nil {
		return err
	}
	head := `{"kind":"` + gvk.Kind + `","apiVersion":"` + gvk.GroupVersion().String() + `","metadata":` + string(m) + `,"items":[`
	size := len(head) + len(endOfItems) + max(0, len(items)-1)
	for _, item := range items {
		size += item.Len()
	}
	body := func(b *body) {
		b.string(head)
		var scratch []byte
		for i, item := range items {
			if i > 0 {
				b.string(",")
			}
			scratch = item.AppendTo(scratch[:0])
			b.bytes(scratch)
		}
		b.string(endOfItems)
	}
	if c.out.Media == negotiate.JSON && !c.out.Pretty {
		c.sendBody(size, body)
		return nil
	}
	var whole bytes.Buffer
	whole.Grow(size)
	if err := writeThrough(&whole, body); err != nil {
		return err
	}
	finished, err := finishJSON(bytes.TrimSuffix(whole.Bytes(), []byte("\n")), c.out)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, finished)
	return nil
}

const endOfItems = "]}\n"

// protobufList frames stored messages by hand: each gets its resourceVersion appended.
func (c *call) protobufList(p *page, gvk schema.GroupVersionKind) error {
	raws, sizes, total, err := c.messages(p)
	if err != nil {
		return err
	}
	head, err := listHead(gvk, &p.meta, total)
	if err != nil {
		return err
	}
	c.sendBody(len(head)+total+len(unknownTail), func(b *body) {
		b.bytes(head)
		for i, raw := range raws {
			b.room(itemFrame)
			b.buf = append(b.buf, tagItems)
			b.buf = binary.AppendUvarint(b.buf, uint64(sizes[i]))
			b.bytes(raw)
			if sizes[i] > len(raw) {
				b.room(itemFrame)
				b.buf = appendVersion(b.buf, p.objects[i].Revision)
			}
		}
		b.bytes(unknownTail)
	})
	return nil
}

// itemFrame is more than what goes before or after an item's message.
const itemFrame = 32

// messages returns each object's message, its size in the list and the framed size of all.
func (c *call) messages(p *page) (raws [][]byte, sizes []int, total int, err error) {
	raws, sizes = make([][]byte, len(p.objects)), make([]int, len(p.objects))
	for i, o := range p.objects {
		raw, whole, err := c.res.message(o)
		if err != nil {
			return nil, nil, 0, err
		}
		raws[i], sizes[i] = raw, len(raw)
		if !whole {
			sizes[i] += versionSize(o.Revision)
		}
		total += fieldSize(sizes[i])
	}
	return raws, sizes, total, nil
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
