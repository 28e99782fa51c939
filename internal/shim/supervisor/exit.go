package supervisor

import (
	"os"
	"path/filepath"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// containerExited records the end of init, after everything it wrote has reached the log. It is called once in a
// container's life; where that is in the middle of a start, the start goes on with it.
func (s *Supervisor) containerExited(c *container, x hold.Exit, reason string) {
	s.mu.Lock()
	if c.starting {
		c.late = func() { s.containerExited(c, x, reason) }
		s.mu.Unlock()
		return
	}
	c.ending = true
	s.mu.Unlock()
	s.drain(c)
	s.lastOOM(c)
	oom, st := s.oomKilled(c), s.snapshot(c)
	st.Pid, st.Status = 0, shim.Exited
	st.ExitCode, st.Signal, st.Reason = x.Code, x.Signal, reason
	st.FinishedAt, st.OOMKilled = x.When, oom
	if err := jail.WriteJSON(filepath.Join(c.dir, exitFile), st); err != nil {
		s.log.Error("cannot record an exit", "container", st.ID, "err", err)
	}
	closeFiles(s.tellExit(c, st))
}

// tellExit makes st, the last one, c's state, and returns the pidfd that nobody needs any more.
func (s *Supervisor) tellExit(c *container, st shim.ContainerState) (pidfd *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || c.state.Status == shim.Exited {
		return nil
	}
	pidfd, c.pidfd, c.state = c.pidfd, nil, st
	s.tell(c, shim.EventExited)
	close(c.exited)
	return pidfd
}
