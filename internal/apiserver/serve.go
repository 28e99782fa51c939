package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/h2"
	"minato.dev/minato/internal/run"
)

// drainTime is how long a stopping server lets running requests finish.
const drainTime = 10 * time.Second

// Run keeps the cache and calls ready when requests can be answered. It returns when ctx ends and all its goroutines have.
func (s *Server) Run(ctx context.Context, ready func()) error {
	return run.With(ctx, func(scope *run.Scope) error {
		scope.Go("warm", func(context.Context) error { Warm(); return nil })
		if err := s.knowWriters(scope.Context()); err != nil {
			return err
		}
		loaded := make(chan struct{})
		scope.Go("cache", func(ctx context.Context) error { return s.cache.Run(ctx, func() { close(loaded) }) })
		select {
		case <-loaded:
		case <-scope.Context().Done():
			return nil
		}
		if err := s.start(scope); err != nil {
			return err
		}
		s.ready.Store(true)
		ready()
		<-scope.Context().Done()
		return nil
	})
}

// start brings everything up that lives on a loaded cache.
func (s *Server) start(scope *run.Scope) error {
	ctx := scope.Context()
	watches, end := context.WithCancel(ctx)
	s.running.Store(&running{scope, watches, end})
	if err := s.objects.follow(scope); err != nil {
		return err
	}
	if s.cfg.Prepare != nil {
		if err := s.cfg.Prepare(ctx, s.objects); err != nil {
			return err
		}
	}
	if err := s.addresses.load(); err != nil {
		return err
	}
	scope.Go("migrate", s.migrateLater)
	return nil
}

// endWatches ends all watches, so that their clients go elsewhere.
func (s *Server) endWatches() {
	if r := s.running.Load(); r != nil {
		r.endWatches()
	}
}

// Serve answers on l until ctx ends, then stops watches and drains requests. A nil tlsConfig serves plain HTTP, for tests.
func (s *Server) Serve(ctx context.Context, l net.Listener, tlsConfig *tls.Config) error {
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 32 * time.Second, IdleTimeout: 90 * time.Second, MaxHeaderBytes: 1 << 20,
		ErrorLog: s.errorLog()}
	if tlsConfig != nil {
		srv.TLSConfig = tlsConfig.Clone()
		srv.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
		// Small records help browsers on slow links; here each is a system call more.
		srv.TLSConfig.DynamicRecordSizingDisabled = true
	}
	return run.With(ctx, func(scope *run.Scope) error {
		h2.New(scope, h2.Config{MaxStreams: 250, MaxHeader: srv.MaxHeaderBytes, HeaderTime: srv.ReadHeaderTimeout, IdleTime: srv.IdleTimeout,
			Log: s.log}).Attach(srv)
		scope.Go("drain", func(ctx context.Context) error {
			<-ctx.Done()
			s.endWatches()
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
			defer cancel()
			if err := srv.Shutdown(drain); err != nil {
				return srv.Close()
			}
			return nil
		})
		var err error
		if tlsConfig != nil {
			err = srv.ServeTLS(h2.Listen(l), "", "")
		} else {
			err = srv.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
}

// errorLog is where net/http complains of its clients; failed handshakes are counted.
func (s *Server) errorLog() *log.Logger {
	to := slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	return log.New(complaints{s.cfg.Metrics, to.Writer()}, "", 0)
}

type complaints struct {
	metrics *health.Metrics
	to      io.Writer
}

// Write takes one line.
func (c complaints) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, []byte("http: TLS handshake error from ")) {
		c.metrics.HandshakeFailed()
	}
	return c.to.Write(line)
}
