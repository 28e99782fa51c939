package apiserver

import (
	"encoding/binary"
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/apiserver/negotiate"
)

// answerList writes a page in the form that was asked for, out of stored or remembered bytes where that is possible.
func (c *call) answerList(p *page) error {
	switch c.out.Shape {
	case negotiate.Table:
		return c.table(http.StatusOK, p.objects, p.meta)
	case negotiate.Metadata:
		return wrongShape(c.out.Shape, "a list ("+c.res.ListKind+")")
	case negotiate.Metas:
		return c.metadataList(p)
	}
	gvk := c.res.GroupVersion.WithKind(c.res.ListKind)
	if c.out.Media == negotiate.Protobuf {
		return c.protobufList(p, gvk)
	}
	items := make([][]byte, len(p.objects))
	for i, o := range p.objects {
		item, err := c.res.item(o)
		if err != nil {
			return err
		}
		items[i] = item
	}
	return c.jsonList(items, p.meta, gvk)
}

// jsonList frames rendered items by hand.
func (c *call) jsonList(items [][]byte, lm metav1.ListMeta, gvk schema.GroupVersionKind) error {
	m, err := json.Marshal(lm)
	if err != nil {
		return err
	}
	head := `{"kind":"` + gvk.Kind + `","apiVersion":"` + gvk.GroupVersion().String() + `","metadata":` + string(m) + `,"items":[`
	parts := make([][]byte, 0, 2*len(items)+2)
	parts = append(parts, []byte(head))
	comma := []byte(",")
	for i, item := range items {
		if i > 0 {
			parts = append(parts, comma)
		}
		parts = append(parts, item)
	}
	if c.out.Media == negotiate.JSON && !c.out.Pretty {
		c.send(http.StatusOK, join(append(parts, []byte("]}\n")))...)
		return nil
	}
	var whole []byte
	for _, p := range append(parts, []byte("]}")) {
		whole = append(whole, p...)
	}
	if whole, err = finishJSON(whole, c.out); err != nil {
		return err
	}
	c.send(http.StatusOK, whole)
	return nil
}

// chunk is the size in which list bodies are handed to the connection.
const chunk = 64 << 10

// join copies small parts together, so that each write to the connection is worth its frame.
func join(parts [][]byte) [][]byte {
	var out [][]byte
	var b []byte
	for _, p := range parts {
		if len(b)+len(p) > chunk && len(b) > 0 {
			out, b = append(out, b), nil
		}
		if b == nil {
			b = make([]byte, 0, max(chunk, len(p)))
		}
		b = append(b, p...)
	}
	return append(out, b)
}

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
	out := [][]byte{}
	b := append(make([]byte, 0, chunk), head...)
	for i, raw := range raws {
		if len(b)+sizes[i]+8 > chunk && len(b) > 0 {
			out, b = append(out, b), make([]byte, 0, max(chunk, sizes[i]+16))
		}
		b = append(b, tagItems)
		b = binary.AppendUvarint(b, uint64(sizes[i]))
		b = append(b, raw...)
		if sizes[i] > len(raw) {
			b = appendVersion(b, p.objects[i].Revision)
		}
	}
	c.send(http.StatusOK, append(out, append(b, unknownTail...))...)
	return nil
}

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
	list := &metav1.PartialObjectMetadataList{ListMeta: p.meta, Items: make([]metav1.PartialObjectMetadata, 0, len(p.objects))}
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
