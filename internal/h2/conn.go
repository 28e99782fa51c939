package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// conn is one connection. Its reader is the goroutine that net/http gave; what is marked so is the reader's alone.
//
//	opening --preface and SETTINGS--> open --drain, idle too long--> leaving --last stream ends, client closes, or a second--> ended
//	open, leaving --error--> GOAWAY with its code --> ended
type conn struct {
	srv     *Server
	net     *tls.Conn
	cork    *corked // below net; nil where the listener was not of Listen
	handler http.Handler
	tls     *tls.ConnectionState
	remote  string
	ctx     context.Context // what the contexts of requests descend from; ends with the connection

	in      input          // the reader's
	decoder *hpack.Decoder // the reader's
	block   block          // the reader's
	settled bool           // the reader's: the client's first SETTINGS have come
	unacked int            // the reader's: SETTINGS of ours without an answer
	idle    int            // the reader's: frames without meaning in a row

	mu       sync.Mutex
	out      output
	streams  map[uint32]*stream // those that count for the client's limit
	past     past
	highest  uint32    // of the client's stream identifiers; only the reader changes it
	handlers int       // that run, also for streams that are gone
	queued   []*stream // that wait for a handler to end
	taken    int       // bytes of bodies, read or thrown away, that the window lacks
	window   int       // what the client may still send
	leaving  bool      // GOAWAY has been sent
	clock    idleClock
}

const (
	greetTime  = 10 * time.Second // for the client's preface and SETTINGS
	leaveTime  = time.Second      // for the client to read the end and close
	connWindow = 1 << 20
	bodyWindow = 1 << 20
)

func newConn(s *Server, ctx context.Context, nc *tls.Conn, h http.Handler) *conn {
	state := nc.ConnectionState()
	c := &conn{srv: s, net: nc, handler: h, tls: &state, remote: nc.RemoteAddr().String(), ctx: ctx,
		in: input{from: nc, buf: make([]byte, inputSize)}, streams: map[uint32]*stream{}, window: connWindow, unacked: 1}
	c.cork, _ = nc.NetConn().(*corked)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { c.block.field(f, s.cfg.MaxHeader) })
	c.decoder.SetMaxStringLength(s.cfg.MaxHeader)
	c.out = output{window: firstWindow, first: firstWindow, frame: leastFrame}
	c.out.room.L = &c.mu
	c.out.encoder = hpack.NewEncoder(&c.out)
	c.clock.timer = time.AfterFunc(s.cfg.IdleTime, c.idleTooLong)
	c.clock.timer.Stop()
	return c
}

// serve answers until the connection ends.
func (c *conn) serve() {
	err := c.greet()
	for err == nil {
		err = c.step()
	}
	c.end(err)
}

// greet sends our SETTINGS and takes the client's preface. Its own SETTINGS have to come soon, too.
func (c *conn) greet() error {
	if !safe(c.tls) {
		return connError{inadequateSecurity, "TLS version or cipher suite"}
	}
	_ = c.net.SetReadDeadline(time.Now().Add(greetTime))
	c.mu.Lock()
	c.control(func(b []byte) []byte {
		b = appendSettings(b, settingStreams, uint32(c.srv.cfg.MaxStreams), settingWindow, bodyWindow, settingHeaders, uint32(c.srv.cfg.MaxHeader))
		return appendWindow(b, 0, connWindow-firstWindow)
	})
	c.clock.begin(c.srv.cfg.IdleTime)
	c.unlock()
	p, err := c.in.next(len(preface))
	if err == nil && string(p) != preface {
		err = connError{protocolError, "not the preface of HTTP/2"}
	}
	return err
}

// step reads one frame and does what it says.
func (c *conn) step() error {
	if !c.in.has(headSize) {
		c.aside() // what is due goes before the wait
	}
	p, err := c.in.next(headSize)
	if err != nil {
		return err
	}
	h := parseHead(p)
	if err = c.expected(h); err == nil {
		err = c.frame(h)
	}
	var se streamError
	if errors.As(err, &se) {
		c.mu.Lock()
		c.resetID(se.stream, se.code)
		c.mu.Unlock()
		return nil
	}
	return err
}

// expected says whether such a frame may come now.
func (c *conn) expected(h head) error {
	switch {
	case h.length > leastFrame:
		return connError{frameSizeError, "frame too large"}
	case c.block.open && (h.kind != frameContinuation || h.stream != c.block.stream):
		return connError{protocolError, "a header block is not continued"}
	case !c.settled && (h.kind != frameSettings || h.has(flagAck)):
		return connError{protocolError, "the first frame is not SETTINGS"}
	}
	return nil
}

func (c *conn) frame(h head) error {
	if h.kind == frameData {
		return c.onData(h)
	}
	p, err := c.in.next(h.length)
	if err != nil {
		return err
	}
	switch h.kind {
	case frameHeaders:
		return c.onHeaders(h, p)
	case frameContinuation:
		return c.onContinuation(h, p)
	case framePriority:
		return c.onPriority(h, p)
	case frameReset:
		return c.onReset(h, p)
	case frameSettings:
		return c.onSettings(h, p)
	case framePing:
		return c.onPing(h, p)
	case frameGoAway:
		return c.onGoAway(h)
	case frameWindow:
		return c.onWindow(h, p)
	case framePush:
		return connError{protocolError, "a client cannot push"}
	}
	return c.meaningless() // an extension
}

// mostIdle is how many frames that do nothing a client may send in a row.
const mostIdle = 10000

func (c *conn) meaningless() error {
	if c.idle++; c.idle > mostIdle {
		return connError{enhanceYourCalm, "too many frames that do nothing"}
	}
	return nil
}

// end says good-bye where there is a reason, and interrupts all that belongs to the connection.
func (c *conn) end(err error) {
	var ce connError
	c.mu.Lock()
	if errors.As(err, &ce) {
		c.srv.cfg.Log.Debug("http2 connection ended", "remote", c.remote, "err", err)
		if c.out.err == nil {
			c.out.reserve(len(ce.reason) + 64)
			c.out.queue = appendGoAway(c.out.queue, c.highest, ce.code, ce.reason)
			_ = c.net.SetWriteDeadline(time.Now().Add(leaveTime))
			for c.flush(); c.out.writing; { // somebody else writes it
				c.out.room.Wait()
			}
		}
	}
	c.clock.timer.Stop()
	c.broken(errGone)
	c.mu.Unlock()
	if ce.code != 0 {
		c.linger()
	}
}

// linger lets the client read the reason before the kernel throws it away because of what we have not read.
func (c *conn) linger() {
	if c.net.CloseWrite() == nil && c.net.SetReadDeadline(time.Now().Add(leaveTime)) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.net, connWindow))
	}
}

var errGone = errors.New("http2: the connection has ended")

// interrupt ends all streams. c.mu is held.
func (c *conn) interrupt() {
	for _, st := range c.streams {
		st.cut(errGone)
	}
	c.queued = nil
	_ = c.net.SetReadDeadline(time.Now()) // the reader ends too
}

// wakeAll lets those that wait to send look again. c.mu is held.
func (c *conn) wakeAll() {
	for _, st := range c.streams {
		st.wake.Broadcast()
	}
}
