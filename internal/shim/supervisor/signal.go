package supervisor

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// signal sends sig to init, or to every process in the container's cgroups.
func (s *Supervisor) signal(id string, sig syscall.Signal, all bool) error {
	if sig < 0 || sig > 64 {
		return invalid("signal %d: must be 0 to 64", sig)
	}
	c, err := s.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if all && !(c.rec.Bound && sig == syscall.SIGKILL) {
		return signalCgroup(c.cgroups, sig)
	}
	return sendPidfd(c.pidfd, sig, 0)
}

// sendPidfd signals a process; one that has ended is no error.
func sendPidfd(pidfd *os.File, sig syscall.Signal, flags int) error {
	if pidfd == nil {
		return nil
	}
	err := unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, flags)
	if err == nil || err == unix.ESRCH {
		return nil
	}
	return fmt.Errorf("signal %d: %w", sig, err)
}

// remove ends a container and everything of it. It is idempotent. A Create of the same container that its caller has
// given up, and that we have not read yet, is refused afterwards.
func (s *Supervisor) remove(ctx context.Context, id string) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	s.refuse(id)
	c, err := s.find(id)
	if err != nil {
		return nil
	}
	c.op.Lock()
	defer c.op.Unlock()
	if err := s.destroy(ctx, c); err != nil {
		return fmt.Errorf("container %q: delete: %w", id, err)
	}
	return nil
}
