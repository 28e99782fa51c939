package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/pin"
)

// PortForward answers with a URL; connections are made when the client opens it.
func (s *Server) PortForward(_ context.Context, r *api.PortForwardRequest) (*api.PortForwardResponse, error) {
	p, err := s.sandbox(r.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if !s.ready(p) {
		return nil, precondition("sandbox %s is not ready", p.ID)
	}
	r.PodSandboxId = p.ID
	return s.streams.server.GetPortForward(r)
}

// PortForward joins one stream of the client with a port on the pod's loopback.
func (s *sessions) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	p, err := s.sandbox(id)
	if err != nil {
		return err
	}
	if !s.ready(p) {
		return precondition("sandbox %s is not ready", p.ID)
	}
	if port < 1 || port > 65535 {
		return invalid("port %d is not 1 to 65535", port)
	}
	conn, err := s.dialPod(ctx, p.ID, hostNetwork(p.Config.PodSandboxConfig), int(port))
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside the pod: %w", port, err)
	}
	defer conn.Close()
	return s.owned(func() error { return s.join(ctx, conn, stream) })
}

// dialPod connects from inside the pod's network: a socket belongs to the network in which it was made, wherever it is
// used. IPv4 comes first, as in other runtimes.
func (s *Server) dialPod(ctx context.Context, id string, host bool, port int) (net.Conn, error) {
	var conn net.Conn
	dial := func() error {
		var d net.Dialer
		var err4, err6 error
		if conn, err4 = d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err4 == nil {
			return nil
		}
		if conn, err6 = d.DialContext(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port))); err6 == nil {
			return nil
		}
		return err4
	}
	if host {
		return conn, dial()
	}
	return conn, pin.InNetwork(ctx, s.cfg.netns(id), dial)
}

// join copies both ways until the pod has nothing more to say. The end of the client's direction is passed on.
func (s *sessions) join(ctx context.Context, conn net.Conn, stream io.ReadWriteCloser) error {
	s.detached(func() {
		io.Copy(conn, stream)
		if half, ok := conn.(*net.TCPConn); ok {
			half.CloseWrite()
		}
	})
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_, err := io.Copy(stream, conn)
	return closed(err)
}

// closed passes over the errors that only say that the other side has gone.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
