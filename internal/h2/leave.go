package h2

import "time"

// leave tells the client to open no more streams, and ends the connection when the open ones have. It may be called again.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.unlock()
	c.goAway()
}

// goAway is leave under the lock.
func (c *conn) goAway() {
	if c.leaving {
		return
	}
	c.leaving = true
	c.out.reserve(64)
	c.out.queue = appendGoAway(c.out.queue, c.highest, noError, "")
	c.out.due = true
	if len(c.streams) == 0 {
		c.nothingOpen()
	}
}

// nothingOpen is what happens when the last open stream has ended. c.mu is held.
func (c *conn) nothingOpen() {
	switch {
	case c.out.err != nil:
	case c.leaving:
		_ = c.net.SetReadDeadline(time.Now().Add(leaveTime)) // the client closes sooner
	default:
		c.clock.begin(c.srv.cfg.IdleTime)
	}
}

// patient lets the reader wait without end again, unless the connection is about to end. c.mu is held.
func (c *conn) patient() {
	if c.out.err == nil && (!c.leaving || len(c.streams) > 0) {
		_ = c.net.SetReadDeadline(time.Time{})
	}
}

// idleClock finds out that a connection has had no streams for long, with one timer that a request does not touch. c.mu guards it.
type idleClock struct {
	timer *time.Timer
	since time.Time // when the last stream ended
	set   bool      // the timer will fire
}

func (k *idleClock) begin(idle time.Duration) {
	if k.since = time.Now(); !k.set {
		k.set = true
		k.timer.Reset(idle)
	}
}

// idleTooLong is the timer's. Where there are streams, the end of the last sets it again.
func (c *conn) idleTooLong() {
	c.mu.Lock()
	defer c.unlock()
	c.clock.set = false
	if len(c.streams) > 0 || c.out.err != nil {
		return
	}
	if left := c.srv.cfg.IdleTime - time.Since(c.clock.since); left > 0 {
		c.clock.set = true
		c.clock.timer.Reset(left)
		return
	}
	c.goAway()
}
