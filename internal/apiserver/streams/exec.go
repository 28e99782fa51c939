package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Exec serves the WebSocket that r asks for with the streams of the kubelet's exec or attach at location. How it ended
// is written into the error stream as a Status: success, the command's exit code, or why it could not be.
func Exec(w http.ResponseWriter, r *http.Request, location *url.URL, transport http.RoundTripper, o Options) {
	// The scope's error is how the command ended, and the client has read it.
	_ = run.With(r.Context(), func(s *run.Scope) error {
		c, err := accept(w, r, o)
		if err != nil {
			return nil // the upgrade has answered
		}
		defer s.Stop()
		sizes := make(sizeQueue)
		s.Go("resize", func(ctx context.Context) error { return c.resize(ctx, sizes) })
		c.finish(c.stream(r.Context(), location, transport, o, sizes))
		return c.conn.Close()
	})
}

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
func (c *client) stream(ctx context.Context, location *url.URL, transport http.RoundTripper, o Options, sizes sizeQueue) error {
	rt, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{UpgradeTransport: transport, PingPeriod: pingTime})
	if err != nil {
		return err
	}
	executor, err := remotecommand.NewSPDYExecutorRejectRedirects(rt, clientspdy.NewUpgraderForStreaming(rt), http.MethodPost, location)
	if err != nil {
		return err
	}
	opts := remotecommand.StreamOptions{Tty: o.Tty}
	if o.Stdin {
		opts.Stdin = c.channels[constants.StreamStdIn]
	}
	if o.Stdout {
		opts.Stdout = c.channels[constants.StreamStdOut]
	}
	if o.Stderr {
		opts.Stderr = c.channels[constants.StreamStdErr]
	}
	if o.Tty {
		opts.TerminalSizeQueue = sizes
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
