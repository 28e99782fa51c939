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
	"minato.dev/minato/internal/shim/jail"
)

// startTimeout bounds the wait for an init that neither goes on nor dies.
const startTimeout = time.Minute

// start lets init execute the container's program. The record of the start comes first: repeating a start is harmless,
// forgetting one is not. An init that ends while it is being started has its end told after its start.
func (s *Supervisor) start(ctx context.Context, id string) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, err := s.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	return s.startMade(ctx, c)
}

// startMade is start with c.op held.
func (s *Supervisor) startMade(ctx context.Context, c *container) error {
	pidfd, err := s.beginStart(c)
	if err != nil || pidfd == nil {
		return err
	}
	now := time.Now()
	err = s.letGo(ctx, c, pidfd, now)
	s.endStart(c, now, err == nil)
	return err
}

// beginStart returns the pidfd of an init that waits to be started; nil where it was started before. Until endStart the
// end of init waits, so that the pidfd stays open.
func (s *Supervisor) beginStart(c *container) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.state.StartedAt.IsZero() {
		return nil, nil
	}
	if c.state.Status != shim.Created || c.ending || c.pidfd == nil {
		return nil, fmt.Errorf("container %q has ended before it was started: %w", c.state.ID, shim.ErrState)
	}
	c.starting = true
	return c.pidfd, nil
}

func (s *Supervisor) letGo(ctx context.Context, c *container, pidfd *os.File, now time.Time) error {
	id := c.rec.Request.ID
	if err := jail.WriteJSON(filepath.Join(c.dir, startedFile), now); err != nil {
		return err
	}
	if foreign(c) {
		return s.startForeign(ctx, c)
	}
	s.holdFifo(id)
	defer s.dropFifo(id)
	s.mu.Lock()
	pid := c.state.Pid
	s.mu.Unlock()
	if err := release(s.execFifo(id), pid, int(pidfd.Fd())); err != nil {
		return fmt.Errorf("container %q: %w: %w", id, shim.ErrCreate, err)
	}
	return s.afterStart(ctx, c, pidfd)
}

// endStart tells the start, if it happened, and then the end that came meanwhile.
func (s *Supervisor) endStart(c *container, at time.Time, started bool) {
	s.mu.Lock()
	c.starting = false
	if started {
		c.state.StartedAt, c.state.Status = at, shim.Running
		s.tell(c, shim.EventStarted)
	}
	late := c.late
	c.late = nil
	s.mu.Unlock()
	if late != nil {
		late()
	}
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

// lookAgain is how long to wait for the byte of an init that may have written it to a keeper that has died since.
const lookAgain = 100 * time.Millisecond

// release opens the fifo that init waits at, takes the byte that init writes when it goes on, and waits for the fifo's end,
// which comes with the execution of the container's program (libcontainer's init is asked what it is by then): who enters
// the container meets that and not init. Where the byte went to somebody who had opened the fifo before us and has died, init is seen to have gone on.
func release(fifo string, pid, pidfd int) error {
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
	begun, waited, deadline := false, -1, time.Now().Add(startTimeout)
	for {
		// First a look, then the wait, for poll does not tell an end that came before the fifo was opened. Death first: whoever
		// is dead has written what there is to read.
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		dead := hasEnded(p[1:])
		var buf [16]byte
		n, failed := unix.Read(fd, buf[:])
		begun = begun || n > 0
		ended, late := n == 0 && failed == nil, time.Now().After(deadline)
		switch {
		case begun && (dead || late), (ended || waited == 0) && !dead && !waitsAtFifo(pid):
			return removeIfThere(fifo)
		case dead:
			return errors.New("init died before it could be started")
		case late:
			return errors.New("init does not go on")
		case ended && waited > 0: // it wrote to nobody and opens the fifo again, or libcontainer's has closed it early: nothing tells when
			_, _ = unix.Poll(p[1:], 1)
		}
		if n > 0 {
			continue
		}
		if waited, err = unix.Poll(p, int(lookAgain.Milliseconds())); err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
}

// hasEnded reports whether the process of the pidfd p[0] is dead.
func hasEnded(p []unix.PollFd) bool {
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0
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
