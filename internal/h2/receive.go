package h2

import (
	"encoding/binary"
	"io"
	"time"
)

func (c *conn) onHeaders(h head, p []byte) error {
	if h.stream%2 == 0 {
		return connError{protocolError, "HEADERS of a stream that no client can open"}
	}
	p, err := unpad(h, p)
	if err != nil {
		return err
	}
	c.block.begin(h)
	if h.has(flagPriority) {
		if len(p) < 5 {
			return connError{frameSizeError, "HEADERS too short for its priority"}
		}
		c.block.self = binary.BigEndian.Uint32(p)&(1<<31-1) == h.stream
		p = p[5:]
	}
	return c.fragment(h, p)
}

func (c *conn) onContinuation(h head, p []byte) error {
	if !c.block.open {
		return connError{protocolError, "CONTINUATION of nothing"}
	}
	return c.fragment(h, p)
}

// fragment decodes a part of a header block, and with the last part does what it says.
func (c *conn) fragment(h head, p []byte) error {
	if err := c.block.add(len(p), c.srv.cfg.MaxHeader); err != nil {
		return err
	}
	if _, err := c.decoder.Write(p); err != nil {
		return connError{compressionError, "header block cannot be decoded"}
	}
	if !h.has(flagEndHeaders) {
		if c.block.frames == 1 {
			_ = c.net.SetReadDeadline(time.Now().Add(c.srv.cfg.HeaderTime))
		}
		return nil
	}
	if err := c.decoder.Close(); err != nil {
		return connError{compressionError, "header block cut off"}
	}
	c.block.open, c.idle = false, 0
	return c.section()
}

// section takes a whole header section: a request, or the trailer of one.
func (c *conn) section() error {
	b := &c.block
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.frames > 1 {
		c.patient()
	}
	if st := c.streams[b.stream]; st != nil {
		return st.onTrailer(b)
	}
	if b.stream <= c.highest {
		return c.past.wrong(b.stream, "HEADERS")
	}
	c.highest = b.stream
	if c.leaving { // the client will ask elsewhere
		c.past.add(b.stream, byUs)
		return nil
	}
	return c.open(b)
}

// onData takes a part of a body.
func (c *conn) onData(h head) error {
	if h.stream == 0 {
		return connError{protocolError, "DATA of no stream"}
	}
	if !c.takeWindow(h.length) {
		return connError{flowControlError, "more than the connection's window"}
	}
	p := make([]byte, h.length)
	if err := c.in.full(p); err != nil {
		return err
	}
	data, err := unpad(h, p)
	if err != nil {
		return err
	}
	if len(data) > 0 || h.has(flagEndStream) {
		c.idle = 0
	} else if err := c.meaningless(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[h.stream]
	if st == nil || st.remoteEnded {
		c.creditConn(h.length)
		if st == nil {
			return c.past.late(h.stream, c.highest)
		}
		return streamError{h.stream, streamClosed, "DATA after the end"}
	}
	return st.onData(data, h.length, h.has(flagEndStream))
}

func (c *conn) takeWindow(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.window {
		return false
	}
	c.window -= n
	return true
}

// onData appends to the body. length counts for the windows, padding included.
func (st *stream) onData(p []byte, length int, end bool) error {
	c, b := st.c, &st.body
	if length > st.receive {
		c.creditConn(length)
		return streamError{st.id, flowControlError, "more than the stream's window"}
	}
	st.receive -= length
	if pad := length - len(p); pad > 0 {
		st.credit(pad)
	}
	if b.left >= 0 {
		if b.left -= int64(len(p)); b.left < 0 {
			c.creditConn(len(p))
			return streamError{st.id, protocolError, "more than its Content-Length"}
		}
	}
	if len(p) > 0 {
		b.put(p)
	}
	if end {
		return st.onEnd()
	}
	return nil
}

// onEnd takes the end of the body.
func (st *stream) onEnd() error {
	if st.body.left > 0 {
		return streamError{st.id, protocolError, "less than its Content-Length"}
	}
	st.remoteEnded = true
	st.body.end(io.EOF)
	st.settle()
	return nil
}

// onTrailer takes the fields behind a body. c.mu is held.
func (st *stream) onTrailer(b *block) error {
	switch {
	case st.remoteEnded:
		return streamError{st.id, streamClosed, "HEADERS after the end"}
	case !b.endStream:
		return streamError{st.id, protocolError, "HEADERS in the middle of a body"}
	case b.bad != "":
		return streamError{st.id, protocolError, b.bad}
	case b.long || len(b.fields) > 0 && b.fields[0].Name[0] == ':':
		return streamError{st.id, protocolError, "trailer too large or with pseudo-header fields"}
	}
	st.body.keepTrailer(b.fields)
	return st.onEnd()
}

func (c *conn) onPriority(h head, p []byte) error {
	switch {
	case h.stream == 0:
		return connError{protocolError, "PRIORITY of no stream"}
	case len(p) != 5:
		return streamError{h.stream, frameSizeError, "PRIORITY of another length"}
	case binary.BigEndian.Uint32(p)&(1<<31-1) == h.stream:
		return streamError{h.stream, protocolError, "a stream that depends on itself"}
	}
	return c.meaningless()
}

func (c *conn) onReset(h head, p []byte) error {
	switch {
	case len(p) != 4:
		return connError{frameSizeError, "RST_STREAM of another length"}
	case h.stream == 0 || h.stream > c.highest:
		return connError{protocolError, "RST_STREAM of an idle stream"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.streams[h.stream]; st != nil {
		st.forget(byPeer)
		st.cut(errReset)
		return nil
	}
	c.past.reset(h.stream)
	return nil
}

func (c *conn) onPing(h head, p []byte) error {
	switch {
	case len(p) != 8:
		return connError{frameSizeError, "PING of another length"}
	case h.stream != 0:
		return connError{protocolError, "PING of a stream"}
	case h.has(flagAck):
		return c.meaningless() // we send none
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control(func(b []byte) []byte { return appendPong(b, p) })
	return nil
}

func (c *conn) onGoAway(h head) error {
	if h.stream != 0 {
		return connError{protocolError, "GOAWAY of a stream"}
	}
	return c.meaningless() // the client opens no more streams, and closes when it has all answers
}

func (c *conn) onWindow(h head, p []byte) error {
	if len(p) != 4 {
		return connError{frameSizeError, "WINDOW_UPDATE of another length"}
	}
	more := int64(binary.BigEndian.Uint32(p) & (1<<31 - 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.stream == 0 {
		if more == 0 {
			return connError{protocolError, "WINDOW_UPDATE by nothing"}
		}
		if c.out.window += more; c.out.window > largestWindow {
			return connError{flowControlError, "window too large"}
		}
		if c.out.waiting > 0 {
			c.wakeAll()
		}
		return nil
	}
	st := c.streams[h.stream]
	switch {
	case h.stream > c.highest:
		return connError{protocolError, "WINDOW_UPDATE of an idle stream"}
	case st == nil:
		return nil
	case more == 0:
		return streamError{h.stream, protocolError, "WINDOW_UPDATE by nothing"}
	}
	if st.window += more; st.window > largestWindow {
		return streamError{h.stream, flowControlError, "window too large"}
	}
	st.wake.Broadcast()
	return nil
}
