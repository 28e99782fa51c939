package supervisor

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
)

// An oomWatch tells when the kernel kills for memory in a container's cgroup: an eventfd on v1, inotify on v2.
type oomWatch struct {
	fd    int
	token int32
	seen  int  // kills that were told
	under bool // that a v1 limit is under attack was told
}

// oomKilled reports whether a process of the container was killed for memory.
func (s *Supervisor) oomKilled(c *container) bool { return s.oomKills(c) > 0 }

func (s *Supervisor) oomKills(c *container) int {
	s.mu.Lock()
	dirs := c.cgroups
	s.mu.Unlock()
	return oomKillsIn(dirs)
}

func oomKillsIn(dirs map[string]string) int {
	if dir, ok := dirs["memory"]; ok {
		return counter(filepath.Join(dir, "memory.oom_control"), "oom_kill")
	}
	if dir, ok := dirs[""]; ok {
		return counter(filepath.Join(dir, "memory.events"), "oom_kill")
	}
	return 0
}

// watchOOM begins to wait; a container whose events cannot be had still gets its OOMKilled flag at its end.
func (s *Supervisor) watchOOM(c *container) {
	fd, err := s.oomDescriptor(c)
	if err != nil {
		s.log.Warn("no memory events", "container", c.rec.Request.ID, "err", err)
		return
	}
	if fd < 0 {
		return
	}
	w := &oomWatch{fd: fd, seen: s.oomKills(c)}
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	if w.token, err = s.pump.add(fd, unix.EPOLLIN, func(uint32) { s.oomReady(c, w) }); err != nil {
		unix.Close(fd)
		return
	}
	c.oom = w
}

func (s *Supervisor) oomDescriptor(c *container) (int, error) {
	s.mu.Lock()
	dirs := c.cgroups
	s.mu.Unlock()
	if dir, ok := dirs["memory"]; ok {
		return oomEventfd(dir)
	}
	dir, ok := dirs[""]
	if !ok {
		return -1, nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, os.NewSyscallError("inotify_init", err)
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(dir, "memory.events"), unix.IN_MODIFY); err != nil {
		unix.Close(fd)
		return -1, nil // v2 without the memory controller
	}
	return fd, nil
}

func oomEventfd(dir string) (int, error) {
	control, err := os.Open(filepath.Join(dir, "memory.oom_control"))
	if err != nil {
		return -1, err
	}
	defer control.Close()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, os.NewSyscallError("eventfd", err)
	}
	line := fmt.Sprintf("%d %d", fd, control.Fd())
	if err := os.WriteFile(filepath.Join(dir, "cgroup.event_control"), []byte(line), 0); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *Supervisor) oomReady(c *container, w *oomWatch) {
	s.pump.mu.Lock()
	if c.oom != w {
		s.pump.mu.Unlock()
		return
	}
	var buf [1024]byte
	_, _ = unix.Read(w.fd, buf[:])
	s.pump.mu.Unlock()
	s.tellOOM(c, w)
}

// tellOOM publishes kills that have not been told yet. v1 tells the beginning of a kill (and the cgroup's removal), v2
// any change of the file: the count decides, or on v1 that the limit is under attack right now.
func (s *Supervisor) tellOOM(c *container, w *oomWatch) {
	kills, under := s.oomKills(c), s.underOOM(c)
	s.pump.mu.Lock()
	news := kills != w.seen || under && !w.under
	w.seen, w.under = kills, under
	s.pump.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if news && !c.gone && c.state.Status != shim.Exited {
		s.tell(c, shim.EventOOM)
	}
}

// lastOOM tells, before the container's end, what the kernel's notice has not brought yet.
func (s *Supervisor) lastOOM(c *container) {
	s.pump.mu.Lock()
	w := c.oom
	s.pump.mu.Unlock()
	if w != nil {
		s.tellOOM(c, w)
	}
}

func (s *Supervisor) underOOM(c *container) bool {
	s.mu.Lock()
	dir, v1 := c.cgroups["memory"]
	s.mu.Unlock()
	return v1 && counter(filepath.Join(dir, "memory.oom_control"), "under_oom") > 0
}

// closeOOM ends the wait. pump.mu is held.
func (s *Supervisor) closeOOM(c *container) {
	if c.oom == nil {
		return
	}
	s.pump.remove(c.oom.fd, c.oom.token)
	unix.Close(c.oom.fd)
	c.oom = nil
}
