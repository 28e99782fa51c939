package apiserver

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"minato.dev/minato/internal/apiserver/negotiate"
)

// socketPatience is how long one message may take to be sent to a client of a WebSocket.
const socketPatience = 30 * time.Second

// socket carries a watch or a log to a browser. A watch is one message an event, as text where the events are JSON.
type socket struct {
	conn *websocket.Conn
	kind int // of its messages
	err  error
}

// originAllowed lets every page in: who may watch is decided by credentials, which no browser adds by itself.
func originAllowed(*http.Request) bool { return true }

// openSocket upgrades the connection; where that fails the client has been told, and nothing can be sent. gone is called when
// the client closes.
func (c *call) openSocket(gone context.CancelFunc) *socket {
	up := websocket.Upgrader{HandshakeTimeout: socketPatience, CheckOrigin: originAllowed}
	if offered := websocket.Subprotocols(c.r); len(offered) == 1 {
		up.Subprotocols = offered
	}
	if c.out.Media == negotiate.Protobuf {
		return c.upgrade(up, websocket.BinaryMessage, gone)
	}
	return c.upgrade(up, websocket.TextMessage, gone)
}

func (c *call) upgrade(up websocket.Upgrader, kind int, gone context.CancelFunc) *socket {
	s := &socket{kind: kind}
	if s.conn, s.err = up.Upgrade(c.w, c.r, nil); s.err != nil {
		gone()
		return s
	}
	if r := c.s.running.Load(); r != nil {
		r.scope.Go("socket", func(context.Context) error { s.listen(gone); return nil })
	}
	return s
}

// listen waits for the end of the connection; what the client says means nothing here.
func (s *socket) listen(gone context.CancelFunc) {
	defer gone()
	for {
		if _, _, err := s.conn.NextReader(); err != nil {
			return
		}
	}
}

// send sends the messages, and none after the first that cannot be sent.
func (s *socket) send(messages [][]byte) error {
	for _, m := range messages {
		if s.err != nil {
			break
		}
		if s.err = s.conn.SetWriteDeadline(time.Now().Add(socketPatience)); s.err == nil {
			s.err = s.conn.WriteMessage(s.kind, m)
		}
	}
	return s.err
}

// close says good-bye.
func (s *socket) close() {
	if s.conn == nil {
		return
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = s.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)) // the client may have gone
	_ = s.conn.Close()
}
