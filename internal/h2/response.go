package h2

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// gather is how much of an answer is held back until a flush or its end, as net/http does: an answer that is no longer goes
// with its Content-Length, in one piece.
const gather = 4 << 10

var gathers = sync.Pool{New: func() any { return new([gather]byte) }}

// response is the handler's http.ResponseWriter. It belongs to the handler's goroutine.
type response struct {
	st       *stream
	header   http.Header
	status   int // 0: there is no head yet
	fields   []hpack.HeaderField
	shelf    *[]hpack.HeaderField // where fields are kept between answers
	known    known
	sent     bool // the head
	complete bool // all of it has been sent
	done     bool // the handler has returned
	declared int64
	written  int64
	room     *[gather]byte
	held     int // bytes in room
	trailers []string
}

// known says which fields the handler has set by itself.
type known struct{ length, kind, encoding, date, close bool }

var shelves = sync.Pool{New: func() any { f := make([]hpack.HeaderField, 0, 16); return &f }}

var errReturned = errors.New("http2: the handler has returned")

func (w *response) begin(st *stream) {
	w.st, w.header, w.declared = st, make(http.Header, 8), -1
}

// Header is in http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader is in http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status > 0 || w.done {
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if status < 200 {
		w.inform(status)
		return
	}
	w.status = status
	w.shelf = shelves.Get().(*[]hpack.HeaderField)
	w.fields = wireFields((*w.shelf)[:0], w.header)
	w.fields = slices.DeleteFunc(w.fields, w.look)
	slices.SortFunc(w.fields, func(a, b hpack.HeaderField) int { return strings.Compare(a.Name, b.Name) })
}

// inform sends an answer before the answer.
func (w *response) inform(status int) {
	fields := wireFields(nil, w.header)
	fields = slices.DeleteFunc(fields, func(f hpack.HeaderField) bool { return f.Name == "content-length" || f.Name == "connection" })
	w.st.c.mu.Lock()
	defer w.st.c.unlock()
	w.st.inform(status, fields)
}

// look notes what a field of the head means here, and whether it stays out of it.
func (w *response) look(f hpack.HeaderField) (out bool) {
	switch f.Name {
	case "content-length":
		n, err := strconv.ParseInt(f.Value, 10, 64)
		if err != nil || n < 0 || w.known.length {
			return true
		}
		w.known.length, w.declared = true, n
	case "content-type":
		w.known.kind = true
	case "content-encoding":
		w.known.encoding = f.Value != ""
	case "date":
		w.known.date = true
	case "connection", "keep-alive", "proxy-connection", "upgrade":
		w.known.close = w.known.close || f.Name == "connection" && f.Value == "close"
		return true
	case "trailer":
		for _, name := range strings.Split(f.Value, ",") {
			w.declareTrailer(strings.TrimSpace(name))
		}
	}
	return false
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Write is in http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.done {
		return 0, errReturned
	}
	w.WriteHeader(http.StatusOK)
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.written += int64(len(p)); w.declared >= 0 && w.written > w.declared {
		return 0, http.ErrContentLength
	}
	whole := w.written == w.declared && w.trailers == nil
	if !whole && w.held+len(p) <= gather {
		w.hold(p)
		return len(p), nil
	}
	if err := w.push(p, whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is in io.StringWriter.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *response) hold(p []byte) {
	if len(p) == 0 {
		return
	}
	if w.room == nil {
		w.room = gathers.Get().(*[gather]byte)
	}
	w.held += copy(w.room[w.held:], p)
}

// push sends the head, what is held back and p.
func (w *response) push(p []byte, end bool) error {
	if w.complete {
		return nil
	}
	var held []byte
	if w.room != nil {
		held = w.room[:w.held]
	}
	status := 0
	if !w.sent {
		w.sent, status = true, w.status
		w.addFields(held, p)
	}
	if w.st.req.Method == http.MethodHead {
		held, p, end = nil, nil, end || status > 0
		if status == 0 {
			return nil
		}
	}
	w.complete = end
	err := w.st.send(status, w.fields, [2][]byte{held, p}, end)
	w.release()
	return err
}

// addFields completes the head.
func (w *response) addFields(held, p []byte) {
	if !w.known.kind && !w.known.encoding && bodyAllowed(w.status) && len(held)+len(p) > 0 {
		if len(held) < 512 {
			held = append(slices.Clone(held), p[:min(len(p), 512)]...)
		}
		w.fields = append(w.fields, hpack.HeaderField{Name: "content-type", Value: http.DetectContentType(held)})
	}
	if !w.known.date {
		w.fields = append(w.fields, hpack.HeaderField{Name: "date", Value: w.st.c.srv.date(time.Now())})
	}
	if w.known.close {
		w.st.c.leave()
	}
}

// release gives back what the answer has borrowed.
func (w *response) release() {
	if w.room != nil {
		gathers.Put(w.room)
		w.room, w.held = nil, 0
	}
	if w.shelf != nil && w.sent {
		clear(w.fields)
		*w.shelf = w.fields[:0]
		shelves.Put(w.shelf)
		w.shelf, w.fields = nil, nil
	}
}

// Flush is in http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController asks for.
func (w *response) FlushError() error {
	if w.done {
		return errReturned
	}
	w.WriteHeader(http.StatusOK)
	if w.sent && w.held == 0 {
		w.st.c.mu.Lock()
		defer w.st.c.mu.Unlock()
		return w.st.err
	}
	return w.push(nil, false)
}

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are what http.ResponseController asks for.
func (w *response) SetReadDeadline(t time.Time) error { w.st.body.deadline(t); return nil }

func (w *response) SetWriteDeadline(t time.Time) error { w.st.deadline(t); return nil }

func (w *response) EnableFullDuplex() error { return nil } // it always is

// finish sends what the handler has left, and the end.
func (w *response) finish() {
	w.WriteHeader(http.StatusOK)
	trailer := w.trailer()
	if !w.sent && !w.known.length && bodyAllowed(w.status) && (w.held > 0 || w.st.req.Method != http.MethodHead) && trailer == nil {
		w.fields = append(w.fields, hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(w.held), Sensitive: true})
	}
	_ = w.push(nil, trailer == nil) // a client that has gone does not hear it
	if trailer != nil && !w.complete {
		w.complete = true
		w.st.sendTrailer(trailer)
	}
	w.done = true
	w.release()
}
