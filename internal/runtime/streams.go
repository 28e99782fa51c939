package runtime

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"k8s.io/cri-streaming/pkg/streaming"
	"minato.dev/minato/internal/run"
)

// streamer serves exec, attach and port-forward over HTTP (SPDY and WebSocket). A verb puts the request into it and gets
// a URL with a random token that opens it once, within a minute.
type streamer struct {
	server streaming.Server
	scope  *run.Scope // of the whole server: sessions end with it
}

func (st *streamer) start(scope *run.Scope, s *Server) error {
	l, err := net.Listen("tcp", s.cfg.Streaming)
	if err != nil {
		return err
	}
	st.scope = scope
	cfg := streaming.DefaultConfig
	cfg.Addr = l.Addr().String()
	cfg.BaseURL = &url.URL{Scheme: "http", Host: cfg.Addr, Path: "/"}
	if st.server, err = streaming.NewServer(cfg, &sessions{s}); err != nil {
		return errors.Join(err, l.Close())
	}
	h := &http.Server{Handler: st.server, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return scope.Context() }}
	scope.Go("streaming", func(context.Context) error {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	scope.Go("streaming stop", func(ctx context.Context) error { <-ctx.Done(); return h.Close() })
	return nil
}

// sessions is what the streaming library calls once a client has connected.
type sessions struct{ *Server }

var _ streaming.Runtime = (*sessions)(nil)

// owned runs a session's body in the server's scope, since the library's goroutine has no owner of ours.
func (s *sessions) owned(body func() error) error {
	if err := s.streams.scope.Context().Err(); err != nil {
		return err // the server is stopping and waits for those it knows
	}
	done := make(chan error, 1)
	s.streams.scope.Go("session", func(context.Context) error { done <- body(); return nil })
	return <-done
}

// detached runs f, which reads from a client: it ends when the client goes, or when the library closes the streams after
// the session, so the session cannot wait for it.
func (s *sessions) detached(f func()) {
	if s.streams.scope.Context().Err() != nil {
		return
	}
	s.streams.scope.Go("session input", func(context.Context) error { f(); return nil })
}
