package h2

import (
	"net"
	"sync"
)

// corked holds back what TLS writes while it is corked: TLS writes each record by itself, and a system call for each is what most
// of a large write would cost.
type corked struct {
	net.Conn
	mu   sync.Mutex
	held *[]byte // nil: nothing is held back
}

// corkSize is the room for the records of what is queued at most.
const corkSize = roomyBuffer + 4<<10

var corkBuffers = sync.Pool{New: func() any { b := make([]byte, 0, corkSize); return &b }}

// Write is in io.Writer.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return c.Conn.Write(p)
	}
	*c.held = append(*c.held, p...)
	return len(p), nil
}

func (c *corked) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = corkBuffers.Get().(*[]byte)
	*c.held = (*c.held)[:0]
}

// uncork writes what was held back.
func (c *corked) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.held
	c.held = nil
	_, err := c.Conn.Write(*b)
	if cap(*b) < 2*corkSize {
		corkBuffers.Put(b)
	}
	return err
}

// listener makes connections that can be corked.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corked{Conn: c}, nil
}

// Listen returns l with connections whose large writes take fewer system calls. It goes below TLS.
func Listen(l net.Listener) net.Listener { return listener{l} }

// write is one write to the connection, of as few system calls as may be.
func (c *conn) write(b []byte) error {
	if c.cork == nil || len(b) <= leastFrame {
		_, err := c.net.Write(b)
		return err
	}
	c.cork.cork()
	_, err := c.net.Write(b)
	if e := c.cork.uncork(); err == nil {
		err = e
	}
	return err
}
