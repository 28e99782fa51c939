package apiserver

import (
	"context"
	"encoding/base64"
	"io"
	"slices"

	"github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The subprotocols of a log over a WebSocket: the bytes as they are, which is also what one gets who names none, or in base64.
const (
	binaryProtocol = "binary.k8s.io"
	base64Protocol = "base64.binary.k8s.io"
)

// sendLog passes a log on over the WebSocket that the client asks for, after an empty message that tells that it stands. gone is
// called when the client closes.
func (c *call) sendLog(body io.Reader, gone context.CancelFunc) error {
	known := []string{binaryProtocol, base64Protocol}
	offered := websocket.Subprotocols(c.r)
	if len(offered) > 0 && !slices.ContainsFunc(offered, func(p string) bool { return slices.Contains(known, p) }) {
		return apierrors.NewBadRequest("a log is sent by the WebSocket protocols binary.k8s.io and base64.binary.k8s.io only")
	}
	s := c.upgrade(websocket.Upgrader{HandshakeTimeout: socketPatience, CheckOrigin: originAllowed, Subprotocols: known}, websocket.BinaryMessage, gone)
	if s.err != nil {
		return nil // the client has been told
	}
	defer s.close()
	encode := func(b []byte) []byte { return b }
	if s.conn.Subprotocol() == base64Protocol {
		s.kind = websocket.TextMessage
		encode = func(b []byte) []byte { return base64.StdEncoding.AppendEncode(nil, b) }
	}
	buf := make([]byte, 0, 32<<10)
	for {
		if s.send([][]byte{encode(buf)}) != nil {
			return nil // the client has gone
		}
		n, err := body.Read(buf[:cap(buf)])
		if buf = buf[:n]; n == 0 && err != nil {
			return nil
		}
	}
}
