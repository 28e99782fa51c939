package apiserver

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// sendRendered sends a body whose length is known only when fill has rendered all of it. What is long is sent while the
// rest is still rendered, so that nobody has to hold all of it. fill's error is the answer where nothing has been sent yet;
// later it breaks the connection off, by which the client knows that it has not got everything.
func (c *call) sendRendered(fill func(*body) error) error {
	l := &lateBody{c: c, held: heldBodies.Get().(*[]byte)}
	defer heldBodies.Put(l.held)
	*l.held = (*l.held)[:0]
	var err error
	_ = writeThrough(l, func(b *body) { err = fill(b) }) // a failed write means that the client has gone
	if err != nil && l.begun {
		c.s.log.Error("list not rendered", "resource", c.res.Name, "err", err)
		panic(http.ErrAbortHandler)
	}
	if err == nil {
		l.end()
	}
	return err
}

var heldBodies = sync.Pool{New: func() any { b := make([]byte, 0, gzipFrom+chunk); return &b }}

// lateBody holds back what is written until there is more of it than gzipFrom. Only then it is known whether the answer is
// short, and has a Content-Length, or long.
type lateBody struct {
	c     *call
	held  *[]byte
	begun bool
	zip   *gzip.Writer // nil where the answer is not compressed, or has not begun
}

// Write is in io.Writer.
func (l *lateBody) Write(p []byte) (int, error) {
	if !l.begun {
		if *l.held = append(*l.held, p...); len(*l.held) <= gzipFrom {
			return len(p), nil
		}
		l.begin()
		_, err := l.write(*l.held)
		return len(p), err
	}
	return l.write(p)
}

func (l *lateBody) write(p []byte) (int, error) {
	if l.c.r.Method == http.MethodHead {
		return 0, http.ErrBodyNotAllowed
	}
	if l.zip != nil {
		return l.zip.Write(p)
	}
	return l.c.w.Write(p)
}

func (l *lateBody) begin() {
	l.begun = true
	h := l.head()
	if acceptsGzip(l.c.r) {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		l.zip = gzips.Get().(*gzip.Writer)
		l.zip.Reset(l.c.w)
	}
	l.c.w.WriteHeader(http.StatusOK)
}

func (l *lateBody) head() http.Header {
	h := l.c.w.Header()
	l.c.warn.write(h)
	h.Set("Content-Type", string(l.c.out.Media))
	return h
}

// end sends what is left.
func (l *lateBody) end() {
	if l.zip != nil {
		_ = l.zip.Close()
		gzips.Put(l.zip)
		return
	}
	if l.begun {
		return
	}
	l.begun = true
	h := l.head()
	if l.c.r.Method != http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(*l.held)))
	}
	l.c.w.WriteHeader(http.StatusOK)
	_, _ = l.write(*l.held)
}
