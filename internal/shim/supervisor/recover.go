package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/crilog"
	"minato.dev/minato/internal/shim/hold"
	"minato.dev/minato/internal/shim/jail"
)

// wipeAfterReboot empties a run directory of another boot: its pids and cgroups mean nothing any more.
func wipeAfterReboot(runDir string) error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	path := filepath.Join(runDir, "boot")
	old, err := os.ReadFile(path)
	if err == nil && string(old) == string(boot) {
		return nil
	}
	for _, sub := range []string{"c", "x", "lc", "oci", "logs"} {
		if err := os.RemoveAll(filepath.Join(runDir, sub)); err != nil {
			return err
		}
	}
	return os.WriteFile(path, boot, 0o600)
}

// recover reads all records and finds the containers again. No call is served and nothing else runs yet, except that
// ends of processes may be told by watches already.
func (s *Supervisor) recover(ctx context.Context, held map[string]*os.File) error {
	entries, err := os.ReadDir(filepath.Join(s.runDir, "c"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	bySlot := map[int]*crilog.Log{}
	var found []*container
	for _, e := range entries {
		c, err := s.readRecord(e.Name())
		if errors.Is(err, fs.ErrNotExist) { // the record is first to be written and first to be removed
			if err := os.RemoveAll(s.containerDir(e.Name())); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			s.log.Error("unreadable container record", "container", e.Name(), "err", err)
			continue
		}
		if c.log, err = s.table.AdoptLog(c.rec.Slot, s.logOptions(c), take(held, e.Name(), heldLog)); err != nil {
			s.log.Error("container goes on without a log", "container", e.Name(), "err", err)
		}
		bySlot[c.rec.Slot] = c.log
		found = append(found, c)
	}
	if err := s.table.Recover(func(slot int) *crilog.Log { return bySlot[slot] }); err != nil {
		s.log.Error("the interrupted log step is lost", "err", err)
	}
	for _, c := range found {
		s.mu.Lock()
		s.containers[c.rec.Request.ID], s.slots[c.rec.Slot] = c, true
		s.mu.Unlock()
		s.readopt(ctx, c, held)
	}
	s.recoverSessions()
	return nil
}

func take(held map[string]*os.File, id, what string) *os.File {
	f := held[heldName(id, what)]
	delete(held, heldName(id, what))
	return f
}

func (s *Supervisor) readRecord(id string) (*container, error) {
	dir := s.containerDir(id)
	var rec record
	if err := jail.ReadJSON(filepath.Join(dir, recordFile), &rec); err != nil {
		return nil, err
	}
	if rec.Slot < 0 || rec.Slot >= crilog.Slots || rec.Request.ID != id {
		return nil, fmt.Errorf("%s: not the record of %s", dir, id)
	}
	return newContainer(dir, rec), nil
}

// readopt brings one container back to where it was, or undoes a creation that was not finished.
func (s *Supervisor) readopt(ctx context.Context, c *container, held map[string]*os.File) {
	id := c.rec.Request.ID
	result, err := s.helperResult(filepath.Join(c.dir, createDir))
	if err != nil || result.Error != "" || c.rec.Terminal && held[heldName(id, heldConsole)] == nil && !s.everStarted(c) {
		s.log.Info("undoing an unfinished creation", "container", id)
		s.undo(ctx, c)
		return
	}
	c.known = true
	var final shim.ContainerState
	ended := jail.ReadJSON(filepath.Join(c.dir, exitFile), &final) == nil
	s.findStreams(c, held, result)
	if ended {
		s.mu.Lock()
		c.state, c.cgroups = final, result.CgroupPaths
		close(c.exited)
		s.mu.Unlock()
		s.drain(c)
		return
	}
	var at time.Time
	if jail.ReadJSON(filepath.Join(c.dir, startedFile), &at) == nil {
		s.mu.Lock()
		c.state.StartedAt, c.state.Status = at, shim.Running
		s.mu.Unlock()
	}
	s.watchContainer(c, result, s.findPidfd(c, held, result))
	s.finishStart(ctx, c, result)
}

func (s *Supervisor) everStarted(c *container) bool {
	_, err := os.Stat(filepath.Join(c.dir, startedFile))
	return err == nil
}

// helperResult waits for a helper that outlived the shim that started it, and reads its answer.
func (s *Supervisor) helperResult(dir string) (jail.Result, error) {
	lock, err := lockHelper(dir, unix.LOCK_EX)
	if err != nil {
		return jail.Result{}, err
	}
	defer lock.Close()
	return jail.ReadResult(dir)
}

// findPidfd prefers the pidfd that the keeper kept: it tells the exit status even of somebody else's dead child.
func (s *Supervisor) findPidfd(c *container, held map[string]*os.File, r jail.Result) *os.File {
	if f := take(held, c.rec.Request.ID, heldPidfd); f != nil {
		return f
	}
	f, err := hold.OpenPid(r.Pid, r.StartTime)
	if err != nil {
		return nil
	}
	_ = s.hold(c.rec.Request.ID, heldPidfd, f)
	return f
}

// finishStart repeats the release of an init whose start was recorded but perhaps not done.
func (s *Supervisor) finishStart(ctx context.Context, c *container, r jail.Result) {
	s.mu.Lock()
	pidfd, started := c.pidfd, !c.state.StartedAt.IsZero()
	s.mu.Unlock()
	if foreign(c) {
		s.finishForeign(ctx, c, started && pidfd != nil)
		return
	}
	if !started || pidfd == nil {
		return
	}
	err := s.finishRelease(c.rec.Request.ID, r.Pid, pidfd)
	if err == nil {
		err = s.afterStart(ctx, c, pidfd)
	}
	if err != nil {
		s.log.Error("cannot finish a start", "container", c.rec.Request.ID, "err", err)
	}
}

func (s *Supervisor) finishRelease(id string, pid int, pidfd *os.File) error {
	fifo := s.execFifo(id)
	if _, err := os.Stat(fifo); err != nil {
		return nil
	}
	defer s.dropFifo(id)
	if waitsAtFifo(pid) {
		return release(fifo, pid, int(pidfd.Fd()))
	}
	return removeIfThere(fifo)
}

// findStreams takes the container's files back from the keeper; pipes that nobody kept are found in the container's
// processes, which hold the other ends.
func (s *Supervisor) findStreams(c *container, held map[string]*os.File, r jail.Result) {
	id := c.rec.Request.ID
	fail := func(err error) {
		if err != nil {
			s.log.Error("a stream of a container is lost", "container", id, "err", err)
		}
	}
	if f := take(held, id, heldStdin); f != nil {
		s.setStdin(c, f)
	}
	if f := take(held, id, heldConsole); f != nil {
		fail(s.adoptConsole(c, f))
	}
	for i, what := range []string{heldStdout, heldStderr} {
		f := take(held, id, what)
		if f == nil && c.rec.Pipes[1+i] != 0 {
			if f = findPipe(r.CgroupPaths, c.rec.Pipes[1+i]); f != nil {
				fail(s.hold(id, what, f))
			}
		}
		if f != nil {
			fail(s.openStream(c, i, f))
		}
	}
}

// findPipe opens the read end of a pipe that a process of the cgroups has open.
func findPipe(cgroups map[string]string, ino uint64) *os.File {
	want := fmt.Sprintf("pipe:[%d]", ino)
	for _, pid := range cgroupPids(cgroups) {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if target, err := os.Readlink(path); err != nil || target != want {
				continue
			}
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			_ = unix.SetNonblock(fd, false)
			return os.NewFile(uintptr(fd), "output")
		}
	}
	return nil
}

// recoverSessions finds exec sessions again, those included whose helper outlived the shim that started it.
func (s *Supervisor) recoverSessions() {
	entries, _ := os.ReadDir(s.sessionsDir())
	for _, e := range entries {
		x := &session{path: s.sessionPath(e.Name()), ended: make(chan struct{})}
		var result jail.Result
		var err error
		if e.IsDir() {
			if err = jail.ReadJSON(filepath.Join(x.path, sessionFile), &x.rec); err == nil {
				result, err = s.helperResult(x.path)
			}
		} else {
			x.rec, result, err = recallNote(x.path)
		}
		if err != nil || result.Error != "" {
			_ = os.RemoveAll(x.path) // its caller asks again
			continue
		}
		s.mu.Lock()
		if c := s.containers[x.rec.Container]; c != nil {
			x.foreign = foreign(c)
		}
		s.sessions[x.rec.ID] = x
		s.mu.Unlock()
		s.watchSession(x, made{Result: result})
	}
}
