package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hierarchy"
	"minato.dev/minato/internal/shim/jail"
)

// killTimeout bounds the wait for killed processes; one that survives it hangs in the kernel.
const killTimeout = 10 * time.Second

// destroy removes a container in any state, half-built ones included. The record goes last, so that a crash in between
// leaves something to go on from. c.op is held.
func (s *Supervisor) destroy(ctx context.Context, c *container) error {
	s.mu.Lock()
	if c.gone {
		s.mu.Unlock()
		return nil
	}
	cgroups, live, bound := c.cgroups, c.pidfd != nil, c.rec.Bound && c.known
	s.mu.Unlock()
	if cgroups == nil {
		cgroups = hierarchy.Dirs(c.rec.Cgroup)
	}
	if !bound {
		if err := killCgroup(cgroups); err != nil {
			return err
		}
	}
	if live {
		if err := s.killInit(c); err != nil {
			return err
		}
	}
	s.endSessions(c.rec.Request.ID)
	s.drain(c)
	s.closeStreams(c)
	if foreign(c) {
		s.deleteForeign(ctx, c)
	}
	err := removeCgroups(cgroups)
	if err != nil && bound { // by somebody who came from outside
		err = errors.Join(killCgroup(cgroups), removeCgroups(cgroups))
	}
	if err != nil {
		return err
	}
	s.afterEnd(ctx, c)
	return s.forget(c)
}

// killInit makes sure that init is dead and its end recorded.
func (s *Supervisor) killInit(c *container) error {
	s.mu.Lock()
	err := sendPidfd(c.pidfd, syscall.SIGKILL, 0)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	t := time.NewTimer(killTimeout)
	defer t.Stop()
	select {
	case <-c.exited:
		return nil
	case <-t.C:
		return errors.New("init survives SIGKILL; it hangs in the kernel")
	}
}

func (s *Supervisor) forget(c *container) error {
	id := c.rec.Request.ID
	for _, root := range []string{s.jailRoot(), s.foreignRoot()} {
		if err := os.RemoveAll(filepath.Join(root, id)); err != nil {
			return err
		}
	}
	s.dropAll(id)
	// First the record: a directory without one is rubbish that the next start removes.
	if err := removeIfThere(filepath.Join(c.dir, recordFile)); err != nil {
		return err
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.gone = true
	s.slots[c.rec.Slot] = false
	delete(s.containers, id)
	if c.state.Status != shim.Exited {
		close(c.exited)
		c.state.Status = shim.Exited
	}
	if c.known {
		s.events.publish(shim.Event{Kind: shim.EventDeleted, ID: id})
	}
	return nil
}

// killCgroup kills every process in the cgroups and waits until none is left.
func killCgroup(dirs map[string]string) error {
	deadline := time.Now().Add(killTimeout)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids := cgroupPids(dirs)
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v survive SIGKILL", pids)
		}
		if err := signalCgroup(dirs, syscall.SIGKILL); err != nil {
			return err
		}
		waitDead(pids[0], pause)
	}
}

// waitDead waits for one process to die, at most for the given time, which makes a loop over a cgroup wait for events
// rather than poll.
func waitDead(pid int, atMost time.Duration) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(atMost.Milliseconds(), 1)))
}

// updateRequest is the helper's request for new limits.
func (s *Supervisor) updateRequest(c *container) jail.Request {
	r := c.rec.Request
	return jail.Request{Root: s.jailRoot(), ID: r.ID, Bundle: r.Bundle, Made: s.made(c)}
}
