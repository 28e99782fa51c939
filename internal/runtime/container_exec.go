package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
)

// Exec answers with a URL; the command begins when the client opens it.
func (s *Server) Exec(_ context.Context, r *api.ExecRequest) (*api.ExecResponse, error) {
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if len(r.GetCmd()) == 0 {
		return nil, invalid("exec in %s: cmd is empty", c.ID)
	}
	r.ContainerId = c.ID
	return s.streams.server.GetExec(r)
}

// Exec runs the command of one session. A status other than 0 is an ExitError, which the library sends to the client.
func (s *sessions) Exec(ctx context.Context, id string, cmd []string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	if _, err := s.runningContainer(id); err != nil {
		return err
	}
	return s.owned(func() error {
		var code int
		var err error
		if tty {
			code, err = s.execTerminal(ctx, id, cmd, in, out, resize)
		} else {
			code, err = s.execPipes(ctx, id, cmd, in, out, errs)
		}
		if err == nil && code != 0 {
			err = utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
		}
		return err
	})
}

// execTerminal copies between the client and the terminal until the command ends. Its last output is in the terminal's
// buffer by then and is read to the end; a child that keeps the terminal open is waited for only a moment.
func (s *sessions) execTerminal(ctx context.Context, id string, cmd []string, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) (code int, err error) {
	req := shim.ExecRequest{Args: cmd, TTY: true}
	session, err := s.shim.Load().Exec(ctx, id, req, shim.Stdio{})
	if err != nil {
		return 0, err
	}
	defer session.Close(context.WithoutCancel(ctx))
	console := session.Console()
	drained := make(chan struct{})
	inner := run.NewScope(context.WithoutCancel(ctx))
	inner.Go("output", func(context.Context) error { defer close(drained); io.Copy(out, console); return nil })
	if in != nil {
		s.detached(func() { io.Copy(console, in) })
	}
	inner.Go("resize", func(ctx context.Context) error { return passSizes(ctx, resize, session.Resize) })
	code, err = waitOrKill(ctx, session)
	await(drained, drainTime)
	inner.Stop()
	console.Close()
	return code, errors.Join(err, inner.Wait())
}

// execPipes copies between the client and the command's pipes.
func (s *sessions) execPipes(ctx context.Context, id string, cmd []string, in io.Reader, out, errs io.Writer) (code int, err error) {
	p, err := newStdio(in != nil, out != nil, errs != nil)
	if err != nil {
		return 0, err
	}
	defer p.close()
	session, err := s.shim.Load().Exec(ctx, id, shim.ExecRequest{Args: cmd}, p.theirs())
	if err != nil {
		return 0, err
	}
	defer session.Close(context.WithoutCancel(ctx))
	p.handOver()
	err = run.With(context.WithoutCancel(ctx), func(scope *run.Scope) error {
		p.copyOut(scope, out, errs)
		if in != nil {
			s.detached(func() { io.Copy(p.in.w, in); p.in.w.Close() })
		}
		code, err = waitOrKill(ctx, session)
		return errors.Join(err, p.drain())
	})
	return code, err
}

// passSizes passes sizes on until the client closes the channel or ctx ends. A size that cannot be set is no reason to end.
func passSizes(ctx context.Context, sizes <-chan remotecommand.TerminalSize, set func(width, height uint16) error) error {
	for {
		select {
		case size, ok := <-sizes:
			if !ok {
				return nil
			}
			if err := set(size.Width, size.Height); err != nil && !errors.Is(err, syscall.EBADF) {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func await(c <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	}
}
