package runtime

import (
	"context"
	"io"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"minato.dev/minato/internal/run"
)

// Attach answers with a URL; the client is attached when it opens it.
func (s *Server) Attach(_ context.Context, r *api.AttachRequest) (*api.AttachResponse, error) {
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if r.GetStdin() && !c.Config.GetStdin() {
		r.Stdin = false // a container without stdin has nothing to write to; its output is still wanted
	}
	r.ContainerId = c.ID
	return s.streams.server.GetAttach(r)
}

// Attach copies between one client and a container's own streams, beside any other client, until the container ends or
// the client goes.
func (s *sessions) Attach(ctx context.Context, id string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	if _, err := s.runningContainer(id); err != nil {
		return err
	}
	p, err := newStdio(in != nil, out != nil, errs != nil)
	if err != nil {
		return err
	}
	defer p.close()
	return s.owned(func() error { return s.attach(ctx, id, p, in, out, errs, resize) })
}

func (s *sessions) attach(ctx context.Context, id string, p *stdio, in io.Reader, out, errs io.Writer, resize <-chan remotecommand.TerminalSize) error {
	return run.With(ctx, func(scope *run.Scope) error {
		attached, end := context.WithCancel(scope.Context())
		defer end()
		p.copyOut(scope, ending(out, end), ending(errs, end))
		if in != nil {
			s.detached(func() { io.Copy(p.in.w, in); p.in.w.Close() })
		}
		scope.Go("resize", func(ctx context.Context) error {
			return passSizes(ctx, resize, func(w, h uint16) error { return s.shim.Load().Resize(ctx, id, w, h) })
		})
		err := s.shim.Load().Attach(attached, id, p.theirs())
		p.handOver()
		scope.Stop()
		if attached.Err() != nil {
			err = nil
		}
		if err == nil {
			err = p.drain()
		}
		return err
	})
}

// ending returns a writer that calls end when the client does not take output any more.
func ending(w io.Writer, end func()) io.Writer {
	if w == nil {
		return nil
	}
	return writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		if err != nil {
			end()
		}
		return n, err
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
