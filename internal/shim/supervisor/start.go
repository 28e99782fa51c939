package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// startTimeout bounds the wait for an init that neither goes on nor dies.
const startTimeout = time.Minute

// start lets init execute the container's program. The record of the start comes first: repeating a start is harmless,
// forgetting one is not.
func (s *Supervisor) start(_ context.Context, id string) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, err := s.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	s.mu.Lock()
	st, pidfd := c.state, c.pidfd
	s.mu.Unlock()
	if !st.StartedAt.IsZero() {
		return nil
	}
	if st.Status != shim.Created || pidfd == nil {
		return fmt.Errorf("container %q has ended before it was started: %w", id, shim.ErrState)
	}
	now := time.Now()
	if err := jail.WriteJSON(filepath.Join(c.dir, startedFile), now); err != nil {
		return err
	}
	s.holdFifo(id)
	if err := release(s.execFifo(id), int(pidfd.Fd())); err != nil {
		return fmt.Errorf("container %q: %w: %w", id, shim.ErrCreate, err)
	}
	s.dropFifo(id)
	s.markStarted(c, now)
	return nil
}

// holdFifo has the keeper open the fifo first. Opening it lets init go on and write; if only we had it open and died,
// init would write to nobody and die too. Without an answer, the keeper being dead, it is tried without.
func (s *Supervisor) holdFifo(id string) {
	name, opened := heldName(id, heldFifo), make(chan struct{})
	s.keeperMu.Lock()
	err := s.keeper.OpenFifo(name, s.execFifo(id))
	s.fifos[name] = opened
	s.keeperMu.Unlock()
	defer func() {
		s.keeperMu.Lock()
		defer s.keeperMu.Unlock()
		delete(s.fifos, name)
	}()
	if err != nil {
		return
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-opened:
	case <-t.C:
	}
}

// fifoOpened is the keeper's answer.
func (s *Supervisor) fifoOpened(name string) {
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	if ch := s.fifos[name]; ch != nil {
		close(ch)
		delete(s.fifos, name)
	}
}

func (s *Supervisor) dropFifo(id string) {
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	_ = s.keeper.Drop(heldName(id, heldFifo)) // a dead keeper holds nothing
}

func (s *Supervisor) execFifo(id string) string { return filepath.Join(s.jailRoot(), id, "exec.fifo") }

func (s *Supervisor) markStarted(c *container, at time.Time) {
	st := s.change(c, func(st *shim.ContainerState) {
		st.StartedAt = at
		if st.Status == shim.Created {
			st.Status = shim.Running
		}
	})
	s.events.publish(shim.Event{Kind: shim.EventStarted, ID: st.ID, Container: &st})
}

// release opens the fifo that init waits at and takes the byte that init writes when it goes on.
func release(fifo string, pidfd int) error {
	f, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("exec fifo: %w", err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	f.Close()
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	defer unix.Close(fd)
	_ = unix.SetNonblock(fd, true)
	deadline := time.Now().Add(startTimeout)
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		_, err := unix.Poll(p, int(time.Until(deadline).Milliseconds()))
		var buf [16]byte
		if n, _ := unix.Read(fd, buf[:]); n > 0 {
			return removeIfThere(fifo)
		}
		switch {
		case err != nil && err != unix.EINTR:
			return os.NewSyscallError("poll", err)
		case p[1].Revents != 0:
			return errors.New("init died before it could be started")
		case time.Now().After(deadline):
			return errors.New("init does not go on")
		}
	}
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// waitsAtFifo reports whether pid is still libcontainer's init, before the container's program.
func waitsAtFifo(pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.HasPrefix(string(comm), "runc:[")
}

// containerExited records the end of init, after everything it wrote has reached the log.
func (s *Supervisor) containerExited(c *container, x hold.Exit, reason string) {
	s.drain(c)
	s.lastOOM(c)
	oom := s.oomKilled(c)
	s.mu.Lock()
	if c.gone || c.state.Status == shim.Exited {
		s.mu.Unlock()
		return
	}
	pidfd := c.pidfd
	c.pidfd = nil
	c.state.Pid, c.state.Status = 0, shim.Exited
	c.state.ExitCode, c.state.Signal, c.state.Reason = x.Code, x.Signal, reason
	c.state.FinishedAt, c.state.OOMKilled = x.When, oom
	st := c.state
	s.mu.Unlock()
	if err := jail.WriteJSON(filepath.Join(c.dir, exitFile), st); err != nil {
		s.log.Error("cannot record an exit", "container", st.ID, "err", err)
	}
	if pidfd != nil {
		pidfd.Close()
	}
	close(c.exited)
	s.events.publish(shim.Event{Kind: shim.EventExited, ID: st.ID, Container: &st})
}
