package h2

import (
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// body is a request's body: the reader appends, the handler reads. It holds no more than the windows let a client send
// ahead. c.mu guards all of it.
type body struct {
	st      *stream
	chunks  [][]byte
	held    int   // bytes in chunks
	left    int64 // of the declared length; negative: none was declared
	err     error // what comes behind the chunks
	closed  bool  // by the handler, or it has returned
	expects bool  // the client waits for 100 Continue
	trailer http.Header
	timer   *time.Timer
	ready   sync.Cond
}

// Read is in io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	c := b.st.c
	c.mu.Lock()
	defer c.unlock()
	if b.expects {
		b.expects = false
		b.st.inform(http.StatusContinue, nil)
	}
	for {
		switch {
		case b.closed:
			return 0, http.ErrBodyReadAfterClose
		case len(p) == 0:
			return 0, nil
		case len(b.chunks) > 0:
			n = b.take(p)
			b.st.credit(n)
			return n, nil
		case b.err == io.EOF:
			b.giveTrailer()
			return 0, io.EOF
		case b.err != nil:
			return 0, b.err
		}
		if c.out.due {
			c.flush()
			continue
		}
		b.ready.Wait()
	}
}

// Close is in io.Closer: the rest of the body is not wanted.
func (b *body) Close() error {
	c := b.st.c
	c.mu.Lock()
	defer c.unlock()
	b.close()
	return nil
}

// close lets go of what has not been read. c.mu is held.
func (b *body) close() {
	if b.closed {
		return
	}
	b.closed = true
	held := b.held
	b.chunks, b.held = nil, 0
	b.st.c.creditConn(held)
	if b.timer != nil {
		b.timer.Stop()
	}
	b.ready.Broadcast()
}

func (b *body) take(p []byte) (n int) {
	for n < len(p) && len(b.chunks) > 0 {
		m := copy(p[n:], b.chunks[0])
		n += m
		if m == len(b.chunks[0]) {
			b.chunks[0] = nil
			b.chunks = b.chunks[1:]
		} else {
			b.chunks[0] = b.chunks[0][m:]
		}
	}
	b.held -= n
	return n
}

// smallChunk is what is worth a copy, so that a body of crumbs does not cost many times its size.
const smallChunk = 1 << 10

// put appends what has come; the handler may have gone, and then it does not count.
func (b *body) put(p []byte) {
	if b.closed || b.err != nil {
		b.st.c.creditConn(len(p))
		return
	}
	b.held += len(p)
	if last := len(b.chunks) - 1; last >= 0 && len(p) <= cap(b.chunks[last])-len(b.chunks[last]) {
		b.chunks[last] = append(b.chunks[last], p...)
	} else if last >= 0 && len(p) < smallChunk {
		b.chunks = append(b.chunks, append(make([]byte, 0, 4*smallChunk), p...))
	} else {
		b.chunks = append(b.chunks, p)
	}
	b.ready.Broadcast()
}

// end says what comes behind the last byte; the first word counts.
func (b *body) end(err error) {
	if b.err == nil {
		b.err = err
		b.ready.Broadcast()
	}
}

// giveTrailer fills in the trailer fields that the request has declared, for the handler that has read to the end.
func (b *body) giveTrailer() {
	for name, v := range b.trailer {
		if _, declared := b.st.req.Trailer[name]; declared {
			b.st.req.Trailer[name] = v
		}
	}
	b.trailer = nil
}

// keepTrailer remembers the fields of a trailer section.
func (b *body) keepTrailer(fields []hpack.HeaderField) {
	if b.st.req.Trailer != nil {
		b.trailer = headerOf(fields)
	}
}

// deadline is http.ResponseController's SetReadDeadline.
func (b *body) deadline(t time.Time) {
	c := b.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if t.IsZero() || b.closed || b.ready.L == nil {
		return
	}
	late := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		b.end(os.ErrDeadlineExceeded)
	}
	if d := time.Until(t); d > 0 {
		b.timer = time.AfterFunc(d, late)
	} else {
		b.end(os.ErrDeadlineExceeded)
	}
}
