package streams

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	constants "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"minato.dev/minato/internal/run"
)

// handshakeTime bounds the upgrade of each side.
const handshakeTime = 30 * time.Second

// Tunnel serves the WebSocket that r asks for as a tunnel to the SPDY connection of the kubelet's port-forward at
// location. The kubelet is asked first: its refusal is the client's answer. An error is returned, for the caller to
// answer with, while nothing has been written.
func Tunnel(w http.ResponseWriter, r *http.Request, location *url.URL, transport http.RoundTripper) error {
	protocols := tunnelled(r)
	if len(protocols) == 0 {
		return apierrors.NewBadRequest("unable to upgrade: no tunneling spdy protocols provided")
	}
	back, answer, in, err := upgrade(r.Context(), location, transport, protocols)
	if err != nil {
		return apierrors.NewServiceUnavailable(fmt.Sprintf("error dialing backend: %v", err))
	}
	defer back.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer answer.Body.Close()
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body) // a client that has gone does not hear it
		return nil
	}
	chosen := constants.WebsocketsSPDYTunnelingPrefix + answer.Header.Get(httpstream.HeaderProtocolVersion)
	up := websocket.Upgrader{HandshakeTimeout: handshakeTime, Subprotocols: []string{chosen}, CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil // the upgrade has answered
	}
	join(r.Context(), portforward.NewTunnelingConnection("server", ws), back, in)
	return nil
}

// tunnelled are the SPDY protocols that the client wants within the WebSocket, best first.
func tunnelled(r *http.Request) []string {
	var out []string
	for _, p := range websocket.Subprotocols(r) {
		inner, ok := strings.CutPrefix(p, constants.WebsocketsSPDYTunnelingPrefix)
		if ok && strings.HasSuffix(inner, constants.KubernetesSuffix) {
			out = append(out, inner)
		}
	}
	return out
}

// upgrade asks the kubelet for a SPDY connection and returns it with the answer and what is read from it.
func upgrade(ctx context.Context, location *url.URL, transport http.RoundTripper, protocols []string) (net.Conn, *http.Response, *bufio.Reader, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, location.String(), nil)
	if err != nil {
		return nil, nil, nil, err
	}
	req.Header.Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
	req.Header.Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
	for _, p := range protocols {
		req.Header.Add(httpstream.HeaderProtocolVersion, p)
	}
	conn, err := proxy.DialURL(ctx, location, transport)
	if err != nil {
		return nil, nil, nil, err
	}
	in := bufio.NewReader(conn)
	answer, err := ask(conn, in, req)
	if err != nil {
		_ = conn.Close()
		return nil, nil, nil, err
	}
	return conn, answer, in, nil
}

func ask(conn net.Conn, in *bufio.Reader, req *http.Request) (*http.Response, error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return nil, err
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, err
	}
	return answer, conn.SetDeadline(time.Time{})
}

// join copies both ways until either side ends or ctx does, and closes both.
func join(ctx context.Context, front, back net.Conn, fromBack io.Reader) {
	end := func() { _, _ = front.Close(), back.Close() }
	defer context.AfterFunc(ctx, end)()
	// Which side broke the connection, and how, is between the two.
	_ = run.With(ctx, func(s *run.Scope) error {
		defer end()
		s.Go("to the kubelet", func(context.Context) error {
			defer end()
			_, _ = io.Copy(back, front)
			return nil
		})
		_, _ = io.Copy(front, fromBack)
		return nil
	})
}
