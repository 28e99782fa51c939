package h2

import "time"

// Clients send a request's head and its body in records of their own, a moment apart. A handler that is started by the head
// waits for the body, and is woken twice; so it is started when a short body has come. Who announces one and does not send it
// is handled all the same, after a while, and then it is the handler that waits, and says when it is too long.
const (
	shortBody = 64 << 10
	bodyTime  = time.Second
)

// short says whether the handler is to be started when the body is there.
func (b *body) short() bool {
	return b.ready.L != nil && !b.expects && b.left > 0 && b.left <= shortBody
}

// patience bounds the wait for the bodies of a connection, by one timer that is not touched for each. c.mu is held.
func (c *conn) patience() {
	if c.bodies == nil {
		c.bodies = time.AfterFunc(c.srv.bodyTime, c.startEarly)
	}
}

// startEarly has all streams handled whose bodies are still to come. It is the timer's; a stream that has just begun is among them.
func (c *conn) startEarly() {
	c.mu.Lock()
	defer c.unlock()
	c.bodies = nil
	for _, st := range c.streams {
		if !st.early {
			continue
		}
		st.early = false
		if err := c.start(st); err != nil {
			st.reset(enhanceYourCalm)
		}
	}
}
