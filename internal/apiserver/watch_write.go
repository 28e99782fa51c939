package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// eventBuffers are what watches gather events in, up to a chunk and the event that goes beyond it. A watch has one only from
// the first event of a flush to its end: most are idle for most of the time, and making one anew for each flush costs more,
// in collections, than all else that a flush does.
var eventBuffers = sync.Pool{New: func() any { b := make([]byte, 0, usualBurst); return &b }}

// usualBurst is their size at first.
const usualBurst = 20 << 10

// largestBuffer is kept for the next flush.
const largestBuffer = 2 * chunk

// eventWriter renders and frames watch events in the form that was asked for.
type eventWriter struct {
	c         *call
	table     *metav1.TableOptions
	bookmarks bool
	begun     bool  // the head has been sent
	last      int64 // revision of the last event
	buf       []byte
	flusher   http.Flusher
	gone      context.CancelFunc // ends the watch where the client of a socket has gone
	socket    *socket            // nil: the answer's body takes the events
	messages  [][]byte           // for the socket
}

func (c *call) newEventWriter() (*eventWriter, error) {
	e := &eventWriter{c: c}
	e.flusher, _ = c.w.(http.Flusher)
	if c.out.Shape == negotiate.Table {
		o, err := tableOptions(c.query)
		if err != nil {
			return nil, err
		}
		e.table = o
	}
	return e, nil
}

// begin sends the head of the answer, so that the client knows that it is watching.
func (e *eventWriter) begin() {
	if e.begun {
		return
	}
	e.begun = true
	if wsstream.IsWebSocketRequest(e.c.r) {
		e.socket = e.c.openSocket(e.gone)
		return
	}
	media := string(e.c.out.Media)
	if e.c.out.Media == negotiate.Protobuf {
		media += ";stream=watch"
	}
	e.c.warn.write(e.c.w.Header())
	e.c.w.Header().Set("Content-Type", media)
	e.c.w.WriteHeader(http.StatusOK)
	if e.flusher != nil {
		e.flusher.Flush()
	}
}

// event adds one event to what the next flush sends.
func (e *eventWriter) event(ev *cache.Event) error {
	e.last = ev.Revision
	if e.buf == nil {
		e.buf = *eventBuffers.Get().(*[]byte)
	}
	if ev.Type == cache.Bookmark {
		if !e.bookmarks {
			return nil
		}
		body, err := e.bookmark(ev)
		if err != nil {
			return err
		}
		e.add(string(ev.Type), body)
		return nil
	}
	if e.socket == nil && e.table == nil && e.c.out.Shape == negotiate.Whole {
		framed, err := e.c.res.appendShared(e.buf, string(ev.Type), ev.Object, e.c.out.Media)
		e.buf = framed
		return err
	}
	body, err := e.object(ev.Object)
	if err != nil {
		return err
	}
	e.add(string(ev.Type), body)
	return nil
}

// errNotRendered is an object that cannot be shown; it ends the watch with an event that says so.
var errNotRendered = errors.New("object cannot be shown")

// gather adds events to what the next flush sends; of a burst it writes what is enough for one go.
func (e *eventWriter) gather(events []cache.Event) error {
	var n told
	defer n.note(e.c.res)
	for i := range events {
		before := len(e.buf)
		if err := e.event(&events[i]); err != nil {
			return fmt.Errorf("%w: %w", errNotRendered, err)
		}
		n.add(len(e.buf) - before)
		if len(e.buf) >= chunk {
			if err := e.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// told are the sizes of some events, so that those of a burst are noted at once.
type told struct {
	bytes int64
	sizes health.Sizes
}

func (t *told) add(n int) {
	t.bytes += int64(n)
	t.sizes[health.SizeClass(n)]++
}

func (t *told) note(res *resource) {
	res.sentBytes.Add(t.bytes)
	for i, n := range t.sizes {
		if n > 0 {
			res.sizes[i].Add(n)
		}
	}
}

// spill writes what has been gathered.
func (e *eventWriter) spill() error {
	_, err := e.c.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

func (e *eventWriter) object(o *cache.Object) ([]byte, error) {
	if e.table != nil {
		row, err := e.c.res.row(o, e.table.IncludeObject, e.c.out.Version, e.c.s.cfg.Now())
		if err != nil {
			return nil, err
		}
		return e.asTable(row, o.Revision)
	}
	return e.c.res.body(o, e.c.out)
}

// asTable makes a Table of one row; the columns are named in the first only.
func (e *eventWriter) asTable(row metav1.TableRow, revision int64) ([]byte, error) {
	t := &metav1.Table{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(revision, 10)},
		Rows: []metav1.TableRow{row}}
	if !e.table.NoHeaders {
		t.ColumnDefinitions = e.c.res.columns()
		e.table.NoHeaders = true
	}
	item, err := encodeItem(t)
	if err != nil {
		return nil, err
	}
	return nameJSON(item, metaKind(e.c.out, string(negotiate.Table))), nil
}

// bookmark is an object of the kind that carries only a resourceVersion.
func (e *eventWriter) bookmark(ev *cache.Event) ([]byte, error) {
	m := metav1.ObjectMeta{ResourceVersion: strconv.FormatInt(ev.Revision, 10)}
	if ev.InitialEnd {
		m.Annotations = map[string]string{initialEnd: "true"}
	}
	out, gvk := e.c.out, e.c.res.GVK()
	switch {
	case e.table != nil:
		p := metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/" + out.Version, Kind: string(negotiate.Metadata)}, ObjectMeta: m}
		raw, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		row := metav1.TableRow{Cells: make([]any, len(e.c.res.columns()))}
		row.Object.Raw = raw
		return e.asTable(row, ev.Revision)
	case out.Shape != negotiate.Whole:
		return e.encode(&metav1.PartialObjectMetadata{ObjectMeta: m})
	}
	obj, err := e.c.res.New()
	if err != nil {
		return nil, err
	}
	hub := obj.(api.Object)
	hub.SetResourceVersion(m.ResourceVersion)
	hub.SetAnnotations(m.Annotations)
	if out.Media == negotiate.Protobuf {
		return encodeProtobuf(obj, gvk)
	}
	item, err := encodeItem(obj)
	if err != nil {
		return nil, err
	}
	return nameJSON(item, gvk), nil
}

func (e *eventWriter) encode(p *metav1.PartialObjectMetadata) ([]byte, error) {
	gvk := metaKind(e.c.out, string(negotiate.Metadata))
	if e.c.out.Media == negotiate.Protobuf {
		return encodeProtobuf(p, gvk)
	}
	item, err := encodeItem(p)
	if err != nil {
		return nil, err
	}
	return nameJSON(item, gvk), nil
}

// fail adds the ERROR event that tells why the watch ends.
func (e *eventWriter) fail(err error) {
	st := statusOf(err)
	var body []byte
	if e.c.out.Media == negotiate.Protobuf {
		body, err = encodeProtobuf(st, statusKind)
	} else if body, err = encodeItem(st); err == nil {
		body = nameJSON(body, statusKind)
	}
	if err == nil {
		e.add("ERROR", body)
	}
}

func (e *eventWriter) add(kind string, body []byte) {
	if e.socket != nil {
		e.addMessage(kind, body)
		return
	}
	e.frame(kind, body)
}

// addMessage adds an event as a message of its own, which needs no other frame.
func (e *eventWriter) addMessage(kind string, body []byte) {
	e.frame(kind, body)
	m := bytes.Clone(e.buf)
	if e.c.out.Media == negotiate.Protobuf {
		m = m[4:] // its length
	}
	e.messages = append(e.messages, m)
	e.buf = e.buf[:0]
}

func (e *eventWriter) frame(kind string, body []byte) {
	if e.c.out.Media == negotiate.Protobuf {
		e.buf = appendEvent(e.buf, kind, body)
		return
	}
	e.buf = append(e.buf, `{"type":"`...)
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, `","object":`...)
	e.buf = append(e.buf, body...)
	e.buf = append(e.buf, "}\n"...)
}

func (e *eventWriter) write() error {
	if e.socket != nil {
		err := e.socket.send(e.messages)
		e.messages = nil
		return err
	}
	if len(e.buf) == 0 {
		return nil
	}
	_, err := e.c.w.Write(e.buf)
	if b := e.buf[:0]; err == nil && cap(b) <= largestBuffer { // a connection that breaks may still read it
		eventBuffers.Put(&b)
	}
	e.buf = nil
	return err
}

// flush sends what has been added.
func (e *eventWriter) flush() error {
	err := e.write()
	if e.flusher != nil && e.socket == nil {
		e.flusher.Flush()
	}
	return err
}

// end closes the socket, where there is one.
func (e *eventWriter) end() {
	if e.socket != nil {
		e.socket.close()
	}
}
