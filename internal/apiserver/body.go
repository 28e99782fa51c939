package apiserver

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// chunk is the size in which large bodies are handed to the connection. With the heads of its HTTP/2 frames it fills three
// TLS records, which go in one system call.
const chunk = 3 * (16<<10 - 9)

// A body gathers small parts in a buffer that all answers share in turns, so that a list of any length allocates nothing
// to be sent. After the first failed write, which means that the client has gone, it ignores the rest.
type body struct {
	to  io.Writer
	buf []byte // its capacity is chunk
	err error
}

var bodies = sync.Pool{New: func() any { return &body{buf: make([]byte, 0, chunk)} }}

// writeThrough writes what fill gathers to w.
func writeThrough(w io.Writer, fill func(*body)) error {
	b := bodies.Get().(*body)
	b.to, b.buf, b.err = w, b.buf[:0], nil
	fill(b)
	b.flush()
	err := b.err
	if b.to = nil; err == nil { // a connection that breaks may still read the buffer
		bodies.Put(b)
	}
	return err
}

func (b *body) flush() {
	if b.err == nil && len(b.buf) > 0 {
		_, b.err = b.to.Write(b.buf)
	}
	b.buf = b.buf[:0]
}

// room makes sure that n bytes, fewer than chunk, can be appended to buf.
func (b *body) room(n int) {
	if len(b.buf)+n > cap(b.buf) {
		b.flush()
	}
}

func (b *body) bytes(p []byte) {
	for len(b.buf)+len(p) > cap(b.buf) {
		n := cap(b.buf) - len(b.buf)
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
		b.flush()
	}
	b.buf = append(b.buf, p...)
}

func (b *body) string(s string) {
	b.room(min(len(s), chunk))
	if len(s) > cap(b.buf) {
		b.bytes([]byte(s))
		return
	}
	b.buf = append(b.buf, s...)
}

// sendBody sends a body of size bytes that fill writes, compressed where that pays.
func (c *call) sendBody(size int, fill func(*body)) {
	c.warn.write(c.w.Header())
	h := c.w.Header()
	h.Set("Content-Type", string(c.out.Media))
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK)
		return
	}
	if size <= gzipFrom || !acceptsGzip(c.r) {
		h.Set("Content-Length", strconv.Itoa(size))
		c.w.WriteHeader(http.StatusOK)
		_ = writeThrough(c.w, fill) // a failed write means that the client has gone
		return
	}
	h.Set("Content-Encoding", "gzip")
	h.Add("Vary", "Accept-Encoding")
	c.w.WriteHeader(http.StatusOK)
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(c.w)
	if writeThrough(z, fill) == nil {
		_ = z.Close()
	}
}
