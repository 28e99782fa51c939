package supervisor

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/crilog"
)

// A stream is one output of a container on its way to the log. Guarded by pump.mu.
type stream struct {
	c      *container
	index  int // crilog.Stdout or Stderr
	f      *os.File
	token  int32
	paused bool // an attachment cannot keep up
	ended  bool
}

// drainSteps bounds how much is read at a container's end: a pipe holds one step's worth, a process that outlived init
// (shared pid namespace) may write for ever.
const drainSteps = 64

// openStream starts reading f, our end of the container's output.
func (s *Supervisor) openStream(c *container, index int, f *os.File) error {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	st := &stream{c: c, index: index, f: f}
	c.streams[index] = st
	return s.resume(st)
}

// resume and pause switch the waiting for a stream. pump.mu is held.
func (s *Supervisor) resume(st *stream) (err error) {
	if st.token == 0 && !st.ended {
		st.token, err = s.pump.add(int(st.f.Fd()), unix.EPOLLIN, func(uint32) { s.streamReady(st) })
	}
	return err
}

func (s *Supervisor) pause(st *stream) {
	if st.token != 0 {
		s.pump.remove(int(st.f.Fd()), st.token)
		st.token = 0
	}
}

func (s *Supervisor) streamReady(st *stream) {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if st.token != 0 {
		s.step(st)
	}
}

// step moves one chunk and reports whether there may be more. pump.mu is held.
func (s *Supervisor) step(st *stream) bool {
	if st.ended {
		return false
	}
	switch err := st.c.log.Step(st.index, int(st.f.Fd())); {
	case err == nil:
		return true
	case errors.Is(err, unix.EAGAIN):
		return false
	case !errors.Is(err, io.EOF):
		s.log.Error("reading a container's output failed", "container", st.c.rec.Request.ID, "stream", st.index, "err", err)
		fallthrough
	default:
		s.endStream(st)
		return false
	}
}

// endStream closes a stream and ends its attachments' outlets. pump.mu is held.
func (s *Supervisor) endStream(st *stream) {
	if st == nil || st.ended {
		return
	}
	s.pause(st)
	st.ended = true
	st.c.log.End(st.index)
	st.f.Close()
	for a := range st.c.attached {
		a.end(st.index)
	}
}

// drain reads what a container that has ended left in its pipes, so that its log is complete before its end is told.
func (s *Supervisor) drain(c *container) {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	for _, st := range c.streams {
		for i := 0; st != nil && i < drainSteps && s.step(st); i++ {
		}
	}
}

// closeStreams ends everything of a container's input and output.
func (s *Supervisor) closeStreams(c *container) {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	for _, st := range c.streams {
		s.endStream(st)
	}
	for _, f := range []*os.File{c.stdin, c.console} {
		if f != nil {
			f.Close()
		}
	}
	c.stdin, c.console = nil, nil
	for a := range c.attached {
		a.end(crilog.Stdout)
		a.end(crilog.Stderr)
	}
	if c.log != nil {
		c.log.Close()
	}
	s.closeOOM(c)
}

// mostEarly bounds what is kept of each stream for the first attachment.
const mostEarly = 64 << 10

// tap hands a step's bytes to the attachments. pump.mu is held by step's caller.
func (s *Supervisor) tap(c *container) func(stream int, data []byte) {
	return func(index int, data []byte) {
		if c.early != nil {
			c.early[index] = append(c.early[index], data...)
			if len(c.early[index]) > mostEarly {
				c.early, c.missed = nil, true
			}
		}
		for a := range c.attached {
			if full := a.push(index, data); full && c.streams[index] != nil {
				c.streams[index].paused = true
				s.pause(c.streams[index])
			}
		}
	}
}

// relax lets a paused stream go on once no attachment is full.
func (s *Supervisor) relax(c *container, index int) {
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	st := c.streams[index]
	if st == nil || !st.paused {
		return
	}
	for a := range c.attached {
		if a.full(index) {
			return
		}
	}
	st.paused = false
	if err := s.resume(st); err != nil {
		s.log.Error("reading a container's output cannot go on", "container", c.rec.Request.ID, "err", err)
	}
}
