package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/jail"
)

// The hooks of a container for after its start and after its end (poststart, poststop) are run here, when that is; those
// for its making by libcontainer, and all of another OCI runtime's containers by that.

// afterStart runs the hooks for a process that has begun. Where one fails the container is ended.
func (s *Supervisor) afterStart(ctx context.Context, c *container, pidfd *os.File) error {
	err := s.runHooks(ctx, c, jail.Poststart)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("container %q: %w: %w", c.rec.Request.ID, shim.ErrCreate, err)
	return errors.Join(err, sendPidfd(pidfd, syscall.SIGKILL, 0))
}

// afterEnd runs the hooks for a container of which nothing is left. It goes whatever they say.
func (s *Supervisor) afterEnd(ctx context.Context, c *container) {
	s.mu.Lock()
	known := c.known
	s.mu.Unlock()
	if !known {
		return
	}
	if err := s.runHooks(ctx, c, jail.Poststop); err != nil {
		s.log.Warn("a hook of a container has failed", "container", c.rec.Request.ID, "err", err)
	}
}

// runHooks has the helper run hooks; those that the helper of an earlier shim has run are not run again.
func (s *Supervisor) runHooks(ctx context.Context, c *container, kind string) error {
	if !c.rec.Hooks {
		return nil
	}
	dir := filepath.Join(c.dir, kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	done, err := s.helperResult(dir)
	if err != nil {
		r := c.rec.Request
		_, err = s.help(ctx, kind, dir, jail.Request{Root: s.jailRoot(), ID: r.ID, Bundle: r.Bundle, Made: s.made(c)}, [3]*os.File{}, nil)
	} else if done.Error != "" {
		err = errors.New(done.Error)
	}
	return err
}
