package h2

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// stream is one request with its answer. c.mu guards what is below it.
//
//	open --END_STREAM of either side--> half closed --END_STREAM of the other--> ended
//	open, half closed --RST_STREAM of either side, the connection ends--> ended, with err
//
// The handler of an ended stream runs on until it returns; its context has ended where there is an err.
type stream struct {
	c      *conn
	id     uint32
	ctx    context.Context // the request's
	cancel context.CancelFunc
	req    *http.Request
	w      response
	body   body
	long   bool // the header list was too large

	err         error // why no more can be sent
	window      int64 // what the client lets us send
	receive     int   // what the client may still send
	taken       int   // bytes of the body that the window lacks
	remoteEnded bool
	localEnded  bool
	gone        bool // no longer in c.streams
	timer       *time.Timer
	wake        sync.Cond // for the handler, when it waits to send
}

var errReset = errors.New("http2: the stream was reset")

// open makes a stream of a request's header block and has it handled. c.mu is held.
func (c *conn) open(b *block) error {
	p, fields, bad := b.request()
	switch {
	case b.long:
		p, fields, bad = pseudo{method: http.MethodGet, scheme: "https", path: "/"}, nil, ""
	case b.self:
		bad = "a stream that depends on itself"
	}
	if bad != "" {
		return streamError{b.stream, protocolError, bad}
	}
	if len(c.streams) >= c.srv.cfg.MaxStreams {
		return streamError{b.stream, refusedStream, "too many streams"}
	}
	st := &stream{c: c, id: b.stream, long: b.long, window: c.out.first, receive: bodyWindow, remoteEnded: b.endStream}
	st.ctx, st.cancel = context.WithCancel(c.ctx)
	st.body.st, st.wake.L = st, &c.mu
	if bad := st.newRequest(&p, fields, b.endStream); bad != "" {
		st.cancel()
		return streamError{b.stream, protocolError, bad}
	}
	st.w.begin(st)
	c.streams[st.id] = st
	return c.start(st)
}

// start has a stream handled, now or when another handler has ended.
func (c *conn) start(st *stream) error {
	if c.handlers >= c.srv.cfg.MaxStreams {
		if len(c.queued) >= 4*c.srv.cfg.MaxStreams {
			return connError{enhanceYourCalm, "requests are given up faster than they can be handled"}
		}
		c.queued = append(c.queued, st)
		return nil
	}
	c.handlers++
	c.srv.work(st)
	return nil
}

// handled lets the next one of those that wait be handled. c.mu is held.
func (c *conn) handled() {
	c.handlers--
	for len(c.queued) > 0 {
		st := c.queued[0]
		c.queued[0] = nil
		c.queued = c.queued[1:]
		if st.err == nil {
			c.handlers++
			c.srv.work(st)
			return
		}
	}
}

// send queues the head, where status is not 0, and data, and sees to it that they go. It waits for the client's windows and
// for room, and returns why it cannot go on.
func (st *stream) send(status int, fields []hpack.HeaderField, parts [2][]byte, end bool) error {
	c := st.c
	c.mu.Lock()
	defer c.unlock()
	if st.err != nil {
		return st.err
	}
	left := len(parts[0]) + len(parts[1])
	if status > 0 {
		c.headers(st.id, status, fields, end && left == 0)
	} else if end && left == 0 {
		c.out.reserve(headSize)
		c.out.queue = appendHead(c.out.queue, 0, frameData, flagEndStream, st.id)
	}
	for left > 0 {
		n, err := st.wait(left)
		if err != nil {
			return err
		}
		left -= n
		flags := byte(0)
		if end && left == 0 {
			flags = flagEndStream
		}
		c.out.reserve(headSize + min(n+left, maxQueued))
		c.out.queue = appendHead(c.out.queue, n, frameData, flags, st.id)
		m := copy(c.out.queue[len(c.out.queue):len(c.out.queue)+n], parts[0])
		copy(c.out.queue[len(c.out.queue)+m:len(c.out.queue)+n], parts[1])
		c.out.queue = c.out.queue[:len(c.out.queue)+n]
		parts[0], parts[1] = parts[0][m:], parts[1][n-m:]
		c.out.window -= int64(n)
		st.window -= int64(n)
	}
	c.out.due = true
	if end {
		st.localEnded = true
		st.settle()
	}
	return nil
}

// wait waits until some of want bytes may be sent, and says how many. c.mu is held.
func (st *stream) wait(want int) (int, error) {
	c := st.c
	for {
		if st.err != nil {
			return 0, st.err
		}
		n := min(int64(want), c.out.window, st.window, int64(c.out.frame))
		switch {
		case n > 0 && len(c.out.queue) < maxQueued:
			return int(n), nil
		case len(c.out.queue) > 0 && !c.out.writing:
			c.flush()
			continue
		}
		c.out.waiting++
		st.wake.Wait()
		c.out.waiting--
	}
}

// inform queues an answer that is not the last one. c.mu is held.
func (st *stream) inform(status int, fields []hpack.HeaderField) {
	if st.err == nil && !st.localEnded {
		st.c.headers(st.id, status, fields, false)
		st.c.out.due = true
	}
}

// settle forgets a stream both sides of which have ended.
func (st *stream) settle() {
	if st.remoteEnded && st.localEnded {
		st.forget(ended)
	}
}

// forget takes the stream out of those that count. c.mu is held.
func (st *stream) forget(how ending) {
	c := st.c
	if st.gone {
		return
	}
	st.gone = true
	delete(c.streams, st.id)
	c.past.add(st.id, how)
	if st.timer != nil {
		st.timer.Stop()
	}
	if len(c.streams) == 0 {
		c.nothingOpen()
	}
}

// cut ends what waits for the stream. c.mu is held.
func (st *stream) cut(err error) {
	if st.err == nil {
		st.err = err
		st.cancel()
		if st.body.ready.L != nil {
			st.body.end(err)
		}
		st.wake.Broadcast()
	}
}

// reset ends the stream from our side. c.mu is held.
func (st *stream) reset(code code) {
	if st.gone {
		return
	}
	st.forget(byUs)
	st.cut(errReset)
	st.c.control(func(b []byte) []byte { return appendReset(b, st.id, code) })
}

// resetID is reset for a stream that may not have come to be.
func (c *conn) resetID(id uint32, code code) {
	if st := c.streams[id]; st != nil {
		st.reset(code)
		return
	}
	if id <= c.highest && !c.past.knows(id) {
		c.past.add(id, byUs)
	}
	c.control(func(b []byte) []byte { return appendReset(b, id, code) })
}

// credit lets the client send as much again as has been taken of a body; not at once, but when it is a good part of the
// window. c.mu is held.
func (st *stream) credit(n int) {
	st.c.creditConn(n)
	if st.taken += n; st.taken < bodyWindow/4 || st.remoteEnded || st.gone {
		return
	}
	st.c.out.reserve(64)
	st.c.out.queue = appendWindow(st.c.out.queue, st.id, st.taken)
	st.c.out.due = true
	st.receive += st.taken
	st.taken = 0
}

// creditConn is credit for the connection's window.
func (c *conn) creditConn(n int) {
	if c.taken += n; c.taken < connWindow/4 || c.out.err != nil {
		return
	}
	c.out.reserve(64)
	c.out.queue = appendWindow(c.out.queue, 0, c.taken)
	c.out.due = true
	c.window += c.taken
	c.taken = 0
}

// deadline is http.ResponseController's SetWriteDeadline.
func (st *stream) deadline(t time.Time) {
	c := st.c
	c.mu.Lock()
	defer c.unlock()
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
	if t.IsZero() || st.gone {
		return
	}
	if d := time.Until(t); d > 0 {
		st.timer = time.AfterFunc(d, func() {
			c.mu.Lock()
			defer c.unlock()
			st.late()
		})
		return
	}
	st.late()
}

func (st *stream) late() {
	if !st.gone {
		st.cut(os.ErrDeadlineExceeded)
		st.reset(internalError)
	}
}
