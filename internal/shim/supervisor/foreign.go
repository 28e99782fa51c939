package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/jail"
)

// Containers of another OCI runtime differ from ours in who makes, starts, enters and forgets them: a helper that runs that
// program. Everything else is the same, for their processes become the keeper's, and their pipes are ours.

func foreign(c *container) bool { return c.rec.Request.Runtime != "" }

func (s *Supervisor) foreignRequest(c *container, req jail.Request) jail.Request {
	req.Runtime, req.ForeignRoot = c.rec.Request.Runtime, s.foreignRoot()
	return req
}

func (s *Supervisor) makeForeign(ctx context.Context, c *container, p *pipes) (jail.Result, error) {
	if err := os.MkdirAll(s.foreignRoot(), 0o700); err != nil {
		return jail.Result{}, err
	}
	r := c.rec.Request
	req := jail.Request{Root: s.jailRoot(), ID: r.ID, Bundle: r.Bundle, Terminal: c.rec.Terminal}
	return s.help(ctx, "foreign-create", filepath.Join(c.dir, createDir), s.foreignRequest(c, req), p.theirs, p.consoleTheirs)
}

// foreignCall asks the runtime for something that starts no process of ours.
func (s *Supervisor) foreignCall(ctx context.Context, c *container, verb string) error {
	dir := filepath.Join(c.dir, verb)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r := c.rec.Request
	_, err := s.help(ctx, "foreign-"+verb, dir, s.foreignRequest(c, jail.Request{Root: s.jailRoot(), ID: r.ID, Bundle: r.Bundle}), [3]*os.File{}, nil)
	return err
}

func (s *Supervisor) startForeign(ctx context.Context, c *container) error {
	if err := s.foreignCall(ctx, c, "start"); err != nil {
		return fmt.Errorf("container %q: %w: %w", c.rec.Request.ID, shim.ErrCreate, err)
	}
	return nil
}

// finishForeign repeats a start that was recorded but perhaps not done, once the helper that was at it has ended: the
// runtime says by itself that a container runs already.
func (s *Supervisor) finishForeign(ctx context.Context, c *container, started bool) {
	if !started {
		return
	}
	_, err := s.helperResult(filepath.Join(c.dir, "start"))
	if err == nil {
		return
	}
	if err = s.foreignCall(ctx, c, "start"); err != nil {
		s.log.Error("cannot finish a start", "container", c.rec.Request.ID, "err", err)
	}
}

// deleteForeign lets the runtime run its hooks and forget the container. Where it cannot, what is left goes without it.
func (s *Supervisor) deleteForeign(ctx context.Context, c *container) {
	if _, err := os.Stat(filepath.Join(s.foreignRoot(), c.rec.Request.ID)); errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := s.foreignCall(ctx, c, "delete"); err != nil {
		s.log.Warn("the runtime cannot delete a container", "container", c.rec.Request.ID, "err", err)
	}
}

// killGroupOf kills the processes of a session that another runtime has started: it need not lead their group, which the
// helper made for them.
func killGroupOf(pid int, pidfd *os.File) error {
	group, err := unix.Getpgid(pid)
	alive := unix.PidfdSendSignal(int(pidfd.Fd()), 0, nil, 0) == nil // then that was its group
	if err == nil && alive && group > 1 && group != unix.Getpgrp() {
		err = unix.Kill(-group, unix.SIGKILL)
	}
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill group %d: %w", group, err)
	}
	return sendPidfd(pidfd, unix.SIGKILL, 0)
}
