package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/crilog"
)

// fullOutlet is how much an attachment may lag before its container has to wait.
const fullOutlet = 256 << 10

// An attachment is one client that follows a container's output.
type attachment struct{ outlets [2]*outlet }

// An outlet is a queue before one file of the client.
type outlet struct {
	mu     sync.Mutex
	change *sync.Cond
	queue  []byte
	ended  bool // no more will come
	broken bool // the client no longer reads
	f      *os.File
}

func newOutlet(f *os.File) *outlet {
	o := &outlet{f: reopen(f, unix.O_WRONLY)}
	o.change = sync.NewCond(&o.mu)
	return o
}

// reopen gives f a file description of its own where the kernel lets us (pipes, terminals), so that it can be
// non-blocking without changing the client's; it takes f over.
func reopen(f *os.File, how int) *os.File {
	g, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), how|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return f
	}
	f.Close()
	return g
}

func (a *attachment) push(index int, data []byte) (full bool) {
	o := a.outlets[index]
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || o.ended {
		return false
	}
	o.queue = append(o.queue, data...)
	o.change.Signal()
	return len(o.queue) >= fullOutlet
}

func (a *attachment) full(index int) bool {
	o := a.outlets[index]
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.broken && len(o.queue) >= fullOutlet
}

func (a *attachment) end(index int) {
	if o := a.outlets[index]; o != nil {
		o.mu.Lock()
		o.ended = true
		o.mu.Unlock()
		o.change.Signal()
	}
}

// break off: unblocks the writer and lets the container go on.
func (o *outlet) breakOff() {
	o.mu.Lock()
	o.broken = true
	o.mu.Unlock()
	o.change.Signal()
	o.f.Close()
}

// copyOut writes the queue to the client until the stream ends or the client has gone.
func (s *Supervisor) copyOut(c *container, index int, o *outlet) {
	defer o.f.Close()
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.ended && !o.broken {
			o.change.Wait()
		}
		data, done := o.queue, o.broken || len(o.queue) == 0
		o.queue = nil
		o.mu.Unlock()
		if done {
			break
		}
		if _, err := o.f.Write(data); err != nil {
			o.breakOff()
			break
		}
		s.relax(c, index)
	}
	s.relax(c, index)
}

// attach follows a container's output and feeds its input until the container's streams end, the client has closed all
// of its own, or ctx ends. files are stdin, stdout and stderr of the client, nil where not wanted; attach closes them.
// joined is called once nothing of the output can be missed any more.
func (s *Supervisor) attach(ctx context.Context, id string, files [3]*os.File, joined func()) error {
	c, err := s.find(id)
	if err != nil {
		closeFiles(files[:]...)
		return err
	}
	if files[0] != nil && !c.rec.Terminal && !c.rec.Request.Stdin {
		closeFiles(files[:]...)
		return fmt.Errorf("container %q was created without stdin: %w", id, shim.ErrState)
	}
	a := &attachment{}
	for i := range a.outlets {
		if f := files[1+i]; f != nil {
			a.outlets[i] = newOutlet(f)
		}
	}
	if !s.join(c, a) {
		closeFiles(files[0])
		a.breakOff()
		return fmt.Errorf("container %q has written more than is kept: %w", id, shim.ErrMissed)
	}
	defer s.leave(c, a)
	joined()
	return run.With(ctx, func(sc *run.Scope) error {
		if files[0] != nil {
			in := reopen(files[0], unix.O_RDONLY)
			sc.Go("stdin", func(context.Context) error { s.copyIn(c, in); return nil })
			defer in.Close()
		}
		outs := sc.Context()
		defer context.AfterFunc(outs, a.breakOff)()
		if err := s.copyOuts(outs, c, a); err != nil {
			return err
		}
		if a.outlets[0] == nil && a.outlets[1] == nil {
			select {
			case <-c.exited:
			case <-outs.Done():
			}
		}
		return nil
	})
}

// copyOuts copies both outputs and returns when both have ended, which breakOff brings about.
func (s *Supervisor) copyOuts(ctx context.Context, c *container, a *attachment) error {
	return run.With(ctx, func(sc *run.Scope) error {
		for i, o := range a.outlets {
			if o != nil {
				sc.Go("output", func(context.Context) error { s.copyOut(c, i, o); return nil })
			}
		}
		return nil
	})
}

func (a *attachment) breakOff() {
	for _, o := range a.outlets {
		if o != nil {
			o.breakOff()
		}
	}
}

// join adds an attachment; streams that have ended already end it at once. The first gets what came before it where that
// was kept, and is refused where it was too much.
func (s *Supervisor) join(c *container, a *attachment) bool {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if c.missed && (a.outlets[0] != nil || a.outlets[1] != nil) {
		c.missed = false
		return false
	}
	c.attached[a] = struct{}{}
	if c.early != nil {
		a.push(0, c.early[0])
		a.push(1, c.early[1])
		c.early = nil
	}
	for i, st := range c.streams {
		if st == nil || st.ended {
			a.end(i)
		}
	}
	return true
}

func (s *Supervisor) leave(c *container, a *attachment) {
	s.pump.mu.Lock()
	delete(c.attached, a)
	s.pump.mu.Unlock()
	a.breakOff()
	s.relax(c, crilog.Stdout)
	s.relax(c, crilog.Stderr)
}

// copyIn feeds the container's stdin and closes it at the end where StdinOnce says so.
func (s *Supervisor) copyIn(c *container, in *os.File) {
	defer in.Close()
	s.pump.mu.Lock()
	to := c.stdin
	if c.rec.Terminal {
		to = c.console
	}
	s.pump.mu.Unlock()
	if to == nil {
		return
	}
	_, _ = io.Copy(onlyWriter{to}, in) // either side may go away; that is the end of it
	if c.rec.Request.StdinOnce && !c.rec.Terminal {
		s.closeStdin(c)
	}
}

// onlyWriter hides ReadFrom, whose splice would block on a full pipe in ways that Close cannot undo.
type onlyWriter struct{ io.Writer }

func (s *Supervisor) closeStdin(c *container) {
	s.pump.mu.Lock()
	if c.stdin != nil {
		c.stdin.Close()
		c.stdin = nil
	}
	s.pump.mu.Unlock()
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	if s.keeper != nil {
		_ = s.keeper.Drop(heldName(c.rec.Request.ID, heldStdin))
	}
}

// resize sets the size of a container's terminal.
func (s *Supervisor) resize(id string, width, height uint16) error {
	c, err := s.find(id)
	if err != nil {
		return err
	}
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if c.console == nil {
		return fmt.Errorf("container %q has no terminal (any more): %w", id, shim.ErrState)
	}
	raw, err := c.console.SyscallConn()
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
