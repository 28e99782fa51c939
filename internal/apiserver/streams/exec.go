package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	constants "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/tools/remotecommand"
	clientspdy "k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"minato.dev/minato/internal/run"
)

const (
	// idleTime ends a connection over which nothing went for so long, as kubelets do.
	idleTime = 4 * time.Hour
	// pingTime is how often the kubelet is asked whether it is still there.
	pingTime = 5 * time.Second
	// statusTime is how long the client may take to read how it ended.
	statusTime = 10 * time.Second
)

// Options say which streams there are.
type Options struct{ Stdin, Stdout, Stderr, Tty bool }

// Exec serves the WebSocket that r asks for with the streams of the kubelet's exec or attach at location. The kubelet is
// asked first: its refusal is the client's answer. How the command ended is written into the error stream as a Status: success,
// the command's exit code, or why it could not be. An error is returned, for the caller to answer with, while nothing has been written.
func Exec(w http.ResponseWriter, r *http.Request, location *url.URL, transport http.RoundTripper, o Options) error {
	var unanswered error
	// The scope's error is how the command ended, and the client has read it.
	_ = run.With(r.Context(), func(s *run.Scope) error {
		defer s.Stop()
		x := &exchange{w: w, r: r, options: o, scope: s, sizes: make(sizeQueue)}
		err := x.stream(r.Context(), location, transport)
		switch {
		case x.client != nil:
			x.client.finish(err)
			return x.client.conn.Close()
		case !x.answered:
			unanswered = apierrors.NewInternalError(fmt.Errorf("error dialing backend: %w", err))
		}
		return nil
	})
	return unanswered
}

// exchange is one request: the client's WebSocket is opened when the kubelet has opened its connection.
type exchange struct {
	w        http.ResponseWriter
	r        *http.Request
	options  Options
	scope    *run.Scope
	sizes    sizeQueue
	upgrader clientspdy.Upgrader
	client   *client // nil until then
	answered bool    // by a refusal
}

// NewConnection is in clientspdy.Upgrader: answer is what the kubelet says to the wish for a connection.
func (x *exchange) NewConnection(answer *http.Response) (httpstream.Connection, error) {
	x.answered = true
	if answer.StatusCode != http.StatusSwitchingProtocols {
		x.w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		x.w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(x.w, answer.Body) // a client that has gone does not hear it
		return nil, errors.New("refused by the kubelet")
	}
	back, err := x.upgrader.NewConnection(answer)
	if err != nil {
		x.answered = false
		return nil, err
	}
	c, err := accept(x.w, x.r, x.options)
	if err != nil {
		return nil, errors.Join(err, back.Close()) // the upgrade has answered
	}
	x.client = c
	x.scope.Go("resize", func(ctx context.Context) error { return c.resize(ctx, x.sizes) })
	return back, nil
}

// channel is one of the client's streams, which is there once there is a client.
type channel struct {
	x  *exchange
	at int
}

func (c channel) Read(p []byte) (int, error)  { return c.x.client.channels[c.at].Read(p) }
func (c channel) Write(p []byte) (int, error) { return c.x.client.channels[c.at].Write(p) }

// client is a client's end.
type client struct {
	conn     *wsstream.Conn
	channels []wsChannel
}

// wsChannel is one stream within the WebSocket.
type wsChannel interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	Close() error
}

func accept(w http.ResponseWriter, r *http.Request, o Options) (*client, error) {
	kind := func(on bool, k wsstream.ChannelType) wsstream.ChannelType {
		if on {
			return k
		}
		return wsstream.IgnoreChannel
	}
	types := make([]wsstream.ChannelType, 5)
	types[constants.StreamStdIn] = kind(o.Stdin, wsstream.ReadChannel)
	types[constants.StreamStdOut] = kind(o.Stdout, wsstream.WriteChannel)
	types[constants.StreamStdErr] = kind(o.Stderr, wsstream.WriteChannel)
	types[constants.StreamErr] = wsstream.WriteChannel
	types[constants.StreamResize] = wsstream.ReadChannel
	c := &client{conn: wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		constants.StreamProtocolV5Name: {Binary: true, Channels: types},
	})}
	c.conn.SetIdleTimeout(idleTime)
	_, opened, err := c.conn.Open(w, r)
	if err != nil {
		return nil, err
	}
	for _, ch := range opened {
		c.channels = append(c.channels, ch)
	}
	return c, c.greet(o)
}

// greet sends an empty message over the first stream that goes to the client: it tells that the connection stands.
func (c *client) greet(o Options) error {
	first := constants.StreamErr
	switch {
	case o.Stdout:
		first = constants.StreamStdOut
	case o.Stderr:
		first = constants.StreamStdErr
	}
	if _, err := c.channels[first].Write(nil); err != nil {
		return errors.Join(err, c.conn.Close())
	}
	return nil
}

// stream runs the command on the kubelet's side.
func (x *exchange) stream(ctx context.Context, location *url.URL, transport http.RoundTripper) error {
	rt, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{UpgradeTransport: transport, PingPeriod: pingTime})
	if err != nil {
		return err
	}
	x.upgrader = clientspdy.NewUpgraderForStreaming(rt)
	executor, err := remotecommand.NewSPDYExecutorRejectRedirects(rt, x, http.MethodPost, location)
	if err != nil {
		return err
	}
	o := x.options
	opts := remotecommand.StreamOptions{Tty: o.Tty}
	if o.Stdin {
		opts.Stdin = channel{x, constants.StreamStdIn}
	}
	if o.Stdout {
		opts.Stdout = channel{x, constants.StreamStdOut}
	}
	if o.Stderr {
		opts.Stderr = channel{x, constants.StreamStdErr}
	}
	if o.Tty {
		opts.TerminalSizeQueue = x.sizes
	}
	return executor.StreamWithContext(ctx, opts)
}

// finish tells the client how the command ended. A client that has gone does not hear it.
func (c *client) finish(err error) {
	b, fault := json.Marshal(outcome(err))
	if fault != nil {
		return
	}
	c.conn.SetWriteDeadline(statusTime)
	_, _ = c.channels[constants.StreamErr].Write(b)
}

func outcome(err error) metav1.Status {
	if err == nil {
		return metav1.Status{Status: metav1.StatusSuccess}
	}
	var exit exec.CodeExitError
	if errors.As(err, &exit) && exit.Exited() {
		return metav1.Status{Status: metav1.StatusFailure, Reason: constants.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", exit),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
				{Type: constants.ExitCodeCauseType, Message: fmt.Sprint(exit.ExitStatus())}}}}
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status()
	}
	return apierrors.NewInternalError(err).Status()
}

// sizeQueue hands the client's terminal sizes on.
type sizeQueue chan remotecommand.TerminalSize

// Next is in remotecommand.TerminalSizeQueue; nil ends it.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	size, ok := <-q
	if !ok {
		return nil
	}
	return &size
}

// resize reads sizes until the connection ends or somebody writes something else there.
func (c *client) resize(ctx context.Context, to sizeQueue) error {
	defer close(to)
	in := json.NewDecoder(c.channels[constants.StreamResize])
	for {
		var size remotecommand.TerminalSize
		if err := in.Decode(&size); err != nil {
			return nil
		}
		select {
		case to <- size:
		case <-ctx.Done():
			return nil
		}
	}
}
