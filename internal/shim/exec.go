package shim

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/wire"
)

// Exec starts a process in a running container and returns once it has been started. It fails with ErrCreate where the
// program cannot be executed. If ctx ends before that, the process is killed; afterwards only Kill ends it.
func (c *Client) Exec(ctx context.Context, id string, r ExecRequest, io Stdio) (*Exec, error) {
	if r.ExecID == "" {
		b := make([]byte, 16)
		_, _ = rand.Read(b) // never fails
		r.ExecID = hex.EncodeToString(b)
	}
	streams, files := io.pass()
	if r.TTY && len(files) > 0 {
		return nil, fmt.Errorf("shim exec: a terminal takes no streams, use Console: %w", ErrInvalid)
	}
	msg, err := newCall("exec", id, ExecCall{ExecRequest: r, Streams: streams, Stay: true})
	if err != nil {
		return nil, err
	}
	var answer wire.Pid
	var conn wire.Conn
	var console *os.File
	err = c.retry(ctx, "exec", func(ctx context.Context) (err error) {
		conn, console, err = c.ask(ctx, msg, &answer, files)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			c.giveUp(ctx, r.ExecID)
		}
		return nil, err
	}
	if r.TTY && console == nil { // a repeated call after a lost answer: the terminal went with that
		conn.Close()
		c.giveUp(ctx, r.ExecID)
		return nil, fmt.Errorf("shim exec: the session's terminal was lost: %w", ErrUnavailable)
	}
	return &Exec{ID: r.ExecID, Pid: answer.Pid, c: c, console: pollable(console), answer: newAnswer(conn)}, nil
}

// giveUp kills a session whose caller will never get hold of it.
func (c *Client) giveUp(ctx context.Context, execID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	e := &Exec{ID: execID, c: c}
	// In this order: a session that has not begun is refused from now on, one that has is killed. Neither can fail in a
	// way that the caller, who has given up, could mend.
	_ = e.close(ctx)
	_ = e.Kill(ctx, syscall.SIGKILL)
}

// pass lists the files that are there, in order.
func (io Stdio) pass() (st wire.Streams, files []*os.File) {
	st = wire.Streams{In: io.In != nil, Out: io.Out != nil, Err: io.Err != nil}
	for _, f := range []*os.File{io.In, io.Out, io.Err} {
		if f != nil {
			files = append(files, f)
		}
	}
	return st, files
}

// pollable makes reads and writes of a terminal's master interruptible by Close.
func pollable(f *os.File) *os.File {
	if f == nil {
		return nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil || unix.SetNonblock(fd, true) != nil {
		return f
	}
	f.Close()
	return os.NewFile(uintptr(fd), "console")
}

// An Exec is a running session. Close it when done; all methods may be called concurrently.
type Exec struct {
	ID  string // the session's ExecID
	Pid int    // in the host's pid namespace

	c       *Client
	console *os.File
	answer  *answer // nil for a session that nobody waits for
}

// Wait blocks until the process has ended. Ending ctx does not end the process: use Kill.
func (e *Exec) Wait(ctx context.Context) (ExecResult, error) {
	r, err := e.answer.await(ctx)
	if errors.Is(err, errNoAnswer) {
		err = e.c.call(ctx, "exec-wait", e.ID, nil, &r)
	}
	return r, err
}

// Kill sends sig to the process; SIGKILL also to the rest of its process group, which it leads. A process that has
// ended is no error.
func (e *Exec) Kill(ctx context.Context, sig syscall.Signal) error {
	err := e.c.call(ctx, "exec-kill", e.ID, wire.Signal{Signal: int(sig)}, nil)
	if errors.Is(err, ErrNotFound) && e.answer != nil {
		return nil // it was forgotten with the answer, which is on its way to Wait
	}
	return err
}

// Console is the master side of the terminal, nil without TTY: read output from it, write input to it. It belongs to
// the Exec and ends with EIO when the process has closed the terminal.
func (e *Exec) Console() *os.File { return e.console }

// Resize sets the terminal's size.
func (e *Exec) Resize(width, height uint16) error {
	if e.console == nil {
		return fmt.Errorf("shim exec %s has no terminal: %w", e.ID, ErrState)
	}
	raw, err := e.console.SyscallConn()
	if err != nil {
		return err
	}
	var ioErr error
	err = raw.Control(func(fd uintptr) {
		ioErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	})
	if err == nil {
		err = ioErr
	}
	return err
}

// Close releases the session: the shim forgets its result, at its end if that is still to come. The process, if it
// still runs, goes on; its terminal hangs up.
func (e *Exec) Close(ctx context.Context) error {
	if e.console != nil {
		e.console.Close()
	}
	if e.answer.close() {
		return nil
	}
	return e.close(ctx)
}

func (e *Exec) close(ctx context.Context) error {
	return e.c.call(ctx, "exec-close", e.ID, nil, nil)
}
