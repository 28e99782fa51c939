package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/shim"
)

// maxOutput is what ExecSync keeps of each stream; the rest is read and dropped, so that the command can go on.
const maxOutput = 16 << 20 / 2

// drainTime is how long output is waited for after the command has ended; only children that hold its pipes open can
// need it.
const drainTime = time.Second

// ExecSync runs a command in a container to its end. Where it takes longer than the timeout it is killed and the code is
// DeadlineExceeded, by which a kubelet knows that a probe timed out.
func (s *Server) ExecSync(ctx context.Context, r *api.ExecSyncRequest) (*api.ExecSyncResponse, error) {
	c, err := s.runningContainer(r.GetContainerId())
	if err != nil {
		return nil, err
	}
	if len(r.GetCmd()) == 0 {
		return nil, invalid("exec in %s: cmd is empty", c.ID)
	}
	if r.GetTimeout() > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.GetTimeout())*time.Second)
		defer cancel()
	}
	var out, errs capture
	code, err := s.execSync(ctx, c.ID, r.GetCmd(), &out, &errs)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &coded{codes.DeadlineExceeded, fmt.Sprintf("command %q timed out after %ds", r.GetCmd(), r.GetTimeout())}
	}
	if err != nil {
		return nil, fmt.Errorf("exec in container %s: %w", c.ID, err)
	}
	return &api.ExecSyncResponse{Stdout: out.data, Stderr: errs.data, ExitCode: int32(code)}, nil
}

func (s *Server) runningContainer(id string) (*ledger.Container, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, err
	}
	if c.State() != api.ContainerState_CONTAINER_RUNNING {
		return nil, precondition("container %s is not running: it is in state %s", c.ID, c.State())
	}
	return c, nil
}

// execSync copies both streams until the command and, for a moment, its children have closed them.
func (s *Server) execSync(ctx context.Context, id string, cmd []string, out, errs io.Writer) (code int, err error) {
	o, err := newPipe(true)
	if err != nil {
		return 0, err
	}
	defer o.close()
	e, err := newPipe(true)
	if err != nil {
		return 0, err
	}
	defer e.close()
	session, err := s.shim.Load().Exec(ctx, id, shim.ExecRequest{Args: cmd}, shim.Stdio{Out: o.w, Err: e.w})
	if err != nil {
		return 0, err
	}
	defer session.Close(context.WithoutCancel(ctx))
	o.w.Close()
	e.w.Close()
	err = run.With(context.WithoutCancel(ctx), func(scope *run.Scope) error {
		scope.Go("stdout", o.copyTo(out))
		scope.Go("stderr", e.copyTo(errs))
		code, err = waitOrKill(ctx, session)
		until := time.Now().Add(drainTime)
		return errors.Join(err, o.r.SetReadDeadline(until), e.r.SetReadDeadline(until))
	})
	return code, err
}

// waitOrKill ends the command where ctx ends first, and returns ctx's error then.
func waitOrKill(ctx context.Context, session *shim.Exec) (int, error) {
	res, err := session.Wait(ctx)
	if err == nil {
		return res.ExitCode, nil
	}
	if ctx.Err() == nil {
		return 0, err
	}
	if err := session.Kill(context.WithoutCancel(ctx), syscall.SIGKILL); err != nil && !errors.Is(err, shim.ErrNotFound) {
		return 0, errors.Join(ctx.Err(), err)
	}
	return 0, ctx.Err()
}

// capture keeps the first maxOutput bytes.
type capture struct{ data []byte }

func (c *capture) Write(p []byte) (int, error) {
	if room := maxOutput - len(c.data); room > 0 {
		c.data = append(c.data, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
