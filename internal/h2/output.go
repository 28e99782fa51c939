package h2

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// maxQueued is how much may wait to be written: who has more waits.
const maxQueued = 64 << 10

// roomyBuffer is the capacity of what frames are gathered in: what may be queued, a frame more and its head.
const roomyBuffer = maxQueued + leastFrame + 1<<10

// buffers of two sizes: most answers are short.
var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, 0, leastFrame); return &b }}
	roomyBuffers = sync.Pool{New: func() any { b := make([]byte, 0, roomyBuffer); return &b }}
)

// output is the sending half of a connection. All of it is guarded by the connection's lock.
//
//	idle --somebody flushes--> writing --all is written--> idle
//	writing --others wait for room, and one of them goes on--> idle
type output struct {
	queue   []byte
	due     bool // what is queued shall go now, and not with what comes next
	writing bool
	err     error // no more can be written
	window  int64 // what the client lets the connection send
	first   int64 // a new stream's window
	frame   int   // the largest frame that the client takes
	waiting int   // streams that wait for a window or for room
	room    sync.Cond
	encoder *hpack.Encoder
}

// Write is the encoder's.
func (o *output) Write(p []byte) (int, error) {
	o.queue = append(o.queue, p...)
	return len(p), nil
}

// reserve makes sure that there is a buffer for n bytes.
func (o *output) reserve(n int) {
	if cap(o.queue)-len(o.queue) >= n {
		return
	}
	pool := &roomyBuffers
	if len(o.queue)+n <= leastFrame {
		pool = &smallBuffers
	}
	b := append((*pool.Get().(*[]byte))[:0], o.queue...)
	giveBack(o.queue)
	o.queue = b
}

func giveBack(b []byte) {
	b = b[:0]
	switch {
	case cap(b) >= roomyBuffer && cap(b) < 2*roomyBuffer:
		roomyBuffers.Put(&b)
	case cap(b) >= leastFrame && cap(b) < roomyBuffer:
		smallBuffers.Put(&b)
	}
}

// flush writes what is queued, unless somebody is at it: that one goes on with it. c.mu is held, and is let go meanwhile.
func (c *conn) flush() {
	o := &c.out
	o.due = false
	if o.writing {
		return
	}
	o.writing = true
	for len(o.queue) > 0 && o.err == nil {
		b := o.queue
		o.queue = nil
		c.mu.Unlock()
		err := c.write(b)
		if err == nil { // a connection that breaks may still read it
			giveBack(b)
		}
		c.mu.Lock()
		if err != nil {
			c.broken(err)
			break
		}
		o.room.Broadcast()
		if o.waiting > 0 {
			c.wakeAll()
			if len(o.queue) >= maxQueued { // one of them writes it
				break
			}
		}
	}
	o.writing = false
	o.room.Broadcast()
	if o.waiting > 0 {
		c.wakeAll()
	}
}

// unlock lets the lock go when what is due has been written.
func (c *conn) unlock() {
	if c.out.due {
		c.flush()
	}
	c.mu.Unlock()
}

// broken ends a connection that cannot be written to. c.mu is held.
func (c *conn) broken(err error) {
	if c.out.err == nil {
		c.out.err = err
		c.out.queue = nil
		c.interrupt()
	}
}

// mostQueued is more than handlers queue. What is more are answers to a client that asks and does not read.
const mostQueued = 8 * maxQueued

var errDeaf = errors.New("http2: the client does not read the answers to its frames")

// control queues a frame of the connection's own. c.mu is held.
func (c *conn) control(frame func([]byte) []byte) {
	switch {
	case c.out.err != nil:
	case len(c.out.queue) > mostQueued:
		c.broken(errDeaf)
	default:
		c.out.reserve(64)
		c.out.queue = frame(c.out.queue)
		c.out.due = true
	}
}

// aside has what is due written by another goroutine than the reader, for whom the client may be waiting while it does not read.
func (c *conn) aside() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.out.due {
		return
	}
	c.out.due = false
	if !c.out.writing {
		c.srv.scope.Go("http2 answers", func(context.Context) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.flush()
			return nil
		})
	}
}

// headers queues a header section: the status, where it is not a trailer, and the fields. c.mu is held.
func (c *conn) headers(stream uint32, status int, fields []hpack.HeaderField, end bool) {
	o := &c.out
	if o.err != nil {
		return
	}
	o.reserve(1 << 10)
	at := len(o.queue)
	o.queue = appendHead(o.queue, 0, frameHeaders, 0, stream)
	if status > 0 {
		_ = o.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: statusText(status)}) // Write never fails
	}
	for _, f := range fields {
		_ = o.encoder.WriteField(f)
	}
	flags := byte(0)
	if end {
		flags = flagEndStream
	}
	c.frameHeaders(at, stream, flags)
}

// frameHeaders fills in the head of the header frame at at, and splits it where it is too long for one.
func (c *conn) frameHeaders(at int, stream uint32, flags byte) {
	o := &c.out
	length := len(o.queue) - at - headSize
	if length <= o.frame {
		appendHead(o.queue[at:at], length, frameHeaders, flags|flagEndHeaders, stream)
		return
	}
	rest := append([]byte(nil), o.queue[at+headSize+o.frame:]...)
	appendHead(o.queue[at:at], o.frame, frameHeaders, flags, stream)
	o.queue = o.queue[:at+headSize+o.frame]
	for len(rest) > 0 {
		n := min(len(rest), o.frame)
		flags = 0
		if n == len(rest) {
			flags = flagEndHeaders
		}
		o.queue = append(appendHead(o.queue, n, frameContinuation, flags, stream), rest[:n]...)
		rest = rest[n:]
	}
}

func statusText(status int) string {
	switch status {
	case http.StatusOK:
		return "200"
	case http.StatusCreated:
		return "201"
	}
	return strconv.Itoa(status)
}

// wireFields is a header map as it goes over the wire, in the order of names; what HTTP/2 does not allow is left out.
func wireFields(into []hpack.HeaderField, h http.Header) []hpack.HeaderField {
	for name, values := range h {
		wire := wireName(name)
		if _, known := canonicalOf[wire]; !known && !httpguts.ValidHeaderFieldName(wire) {
			continue
		}
		for _, v := range values {
			if wire == "transfer-encoding" && v != "trailers" || !httpguts.ValidHeaderFieldValue(v) {
				continue
			}
			into = append(into, hpack.HeaderField{Name: wire, Value: v, Sensitive: unique(wire)})
		}
	}
	return into
}

// unique says whether a field has another value in each answer: it would only push others out of the client's table.
func unique(wire string) bool { return wire == "audit-id" || wire == "content-length" }
