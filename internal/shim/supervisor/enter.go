package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/jail"
)

// firstOwnFD keeps our program file's descriptor out of the way of those that a child is started with.
const firstOwnFD = 64

// openSelf opens our program file on a mount of its own that is read-only and in nobody's tree. A process that is about
// to execute a container's program runs from there: who gets hold of the file in /proc cannot write to it.
func openSelf() (*os.File, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/exe", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("open_tree", err)
	}
	defer unix.Close(tree)
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}); err != nil {
		return nil, os.NewSyscallError("mount_setattr", err)
	}
	fd, err := unix.FcntlInt(uintptr(tree), unix.F_DUPFD_CLOEXEC, firstOwnFD)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), "minato-shim"), nil
}

// enterSwiftly starts a process in a container without libcontainer; jail.ErrUnfit where that cannot be, in which case
// nothing has happened.
func (s *Supervisor) enterSwiftly(c *container, x *session, req jail.Request, stdio [3]*os.File) (made, error) {
	if req.Terminal || s.self == nil {
		return made{}, jail.ErrUnfit
	}
	entry, err := s.entryOf(c)
	if err != nil {
		return made{}, err
	}
	init, cgroups, err := s.initOf(c)
	if err != nil {
		return made{}, err
	}
	defer init.Close()
	wish, err := entry.Request(req.ID, cgroups, req.Exec)
	if err != nil {
		return made{}, err
	}
	defer wish.Close()
	note, err := newNote(x.path, x.rec)
	if err != nil {
		return made{}, err
	}
	defer note.Close()
	m, err := s.order(order{wish: wish, lock: note, container: init, stdio: stdio})
	if errors.Is(err, jail.ErrUnfit) {
		err = errors.Join(err, unix.Unlink(x.path))
	}
	return m, err
}

// buildSwiftly makes a container without libcontainer; jail.ErrUnfit where that cannot be, in which case there is at most
// something of it that destroy removes and libcontainer does not mind.
func (s *Supervisor) buildSwiftly(c *container, req jail.Request, spec *jail.Bundle, stdio [3]*os.File) (made, error) {
	if s.self == nil {
		return made{}, jail.ErrUnfit
	}
	dir := filepath.Join(c.dir, createDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return made{}, err
	}
	fifo, err := s.beforeStart(c)
	if err != nil {
		return made{}, err
	}
	wish, entry, cgroups, err := jail.Build(req, spec, &s.filters, fifo)
	if err != nil {
		return made{}, err
	}
	defer wish.Close()
	if err := jail.WriteCgroups(dir, cgroups); err != nil {
		return made{}, err
	}
	lock, err := lockHelper(dir, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return made{}, err
	}
	defer lock.Close()
	s.mu.Lock()
	c.entry = entry
	s.mu.Unlock()
	result, err := s.order(order{builds: true, dir: dir, wish: wish, lock: lock, stdio: stdio})
	result.CgroupPaths = cgroups
	if err != nil && oomKillsIn(cgroups) > 0 {
		err = fmt.Errorf("%w: container init was OOM-killed (memory limit too low?)", err)
	}
	return result, err
}

// beforeStart makes the fifo that init is to wait at until it is started. Where it is not to wait there is none, and that it
// was started is on record before it can be.
func (s *Supervisor) beforeStart(c *container) (fifo string, err error) {
	r := c.rec.Request
	if r.Run {
		return "", jail.WriteJSON(filepath.Join(c.dir, startedFile), time.Now())
	}
	fifo = s.execFifo(r.ID)
	if err := os.MkdirAll(filepath.Dir(fifo), 0o700); err != nil {
		return "", err
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return "", fmt.Errorf("exec fifo: %w", err)
	}
	// Init, who has become the container's user by then, writes to it; its directory is ours alone.
	return fifo, os.Chmod(fifo, 0o622)
}

// made tells libcontainer, which did not make the container, what it must know of it.
func (s *Supervisor) made(c *container) *jail.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &jail.Result{Pid: c.state.Pid, StartTime: c.startTime, CgroupPaths: c.cgroups}
}

// entryOf reads what entering needs from the bundle, once.
func (s *Supervisor) entryOf(c *container) (*jail.Entry, error) {
	s.mu.Lock()
	entry, err, own := c.entry, c.entryErr, c.cgroups
	s.mu.Unlock()
	if entry != nil || err != nil {
		return entry, err
	}
	entry, err = jail.LoadEntry(c.rec.Request.Bundle, &s.filters, own)
	if err != nil && !errors.Is(err, jail.ErrUnfit) {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entry, c.entryErr = entry, err
	return entry, err
}

// initOf returns a pidfd of the container's first process, which keeps standing for it, and the cgroups.
func (s *Supervisor) initOf(c *container) (*os.File, map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.pidfd == nil {
		return nil, nil, errors.New("the container has ended")
	}
	fd, err := unix.FcntlInt(c.pidfd.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), c.cgroups, nil
}
