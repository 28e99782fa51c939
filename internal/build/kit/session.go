package kit

import (
	"context"
	"errors"
	"net"

	"github.com/moby/buildkit/session"
	"google.golang.org/grpc/test/bufconn"

	"minato.dev/minato/internal/run"
)

// sessionBuffer is what may be on its way between a build and its files.
const sessionBuffer = 256 << 10

// sessionDialer connects a build's session, by which the context and the image travel, with the manager itself. BuildKit's
// own way is a stream of the controller's connection with another connection in it, which copies everything four times more.
func sessionDialer(scope *run.Scope, m *session.Manager) func(context.Context, string, map[string][]string) (net.Conn, error) {
	return func(ctx context.Context, _ string, meta map[string][]string) (net.Conn, error) {
		lis := bufconn.Listen(sessionBuffer)
		lasts, end := context.WithCancel(scope.Context())
		scope.Go("session", func(context.Context) error {
			defer end()
			theirs, err := lis.Accept()
			if err != nil {
				return nil // nobody came
			}
			return m.HandleConn(lasts, theirs, meta)
		})
		ours, err := lis.DialContext(ctx)
		if err != nil {
			end()
			return nil, errors.Join(err, lis.Close())
		}
		return sessionConn{ours, end}, nil
	}
}

// sessionConn ends the session when it is closed.
type sessionConn struct {
	net.Conn
	end context.CancelFunc
}

func (c sessionConn) Close() error {
	c.end()
	return c.Conn.Close()
}
