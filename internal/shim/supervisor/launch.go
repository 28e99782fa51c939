package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/hierarchy"
	"minato.dev/minato/internal/shim/hold"
)

// Launch starts the keeper of runDir, in a session and a cgroup of its own, as a child that the caller's end makes an
// orphan. It returns nil, leaving everything as it is, where another keeper holds the run directory.
func Launch(runDir string, rest []string) error {
	lock, err := lockRunDir(runDir)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(rest) > 0 && rest[0] != "" {
		if err := enterCgroup(rest[0]); err != nil {
			return err
		}
	}
	defer lock.Close()
	return startKeeper(lock, nil, runDir)
}

// startKeeper passes the lock as descriptor 3, and as 4 the socket to a shim that hands over (its pid is in rest).
func startKeeper(lock, sock *os.File, runDir string, rest ...string) error {
	attr := &os.ProcAttr{Dir: "/", Files: []*os.File{nil, os.Stdout, os.Stderr, lock}, Env: []string{}}
	if sock != nil {
		attr.Files = append(attr.Files, sock)
	}
	attr.Sys = &syscall.SysProcAttr{Setsid: true}
	_, err := os.StartProcess("/proc/self/exe", append([]string{"minato-shim", "keeper", runDir}, rest...), attr)
	if err != nil {
		return fmt.Errorf("start keeper: %w", err)
	}
	return nil
}

func lockRunDir(runDir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(runDir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", runDir, err)
	}
	return lock, nil
}

// enterCgroup moves this process to path in every hierarchy. One that refuses (read-only, delegated elsewhere) is left.
func enterCgroup(path string) error {
	var errs []error
	moved := 0
	for controllers, dir := range hierarchy.Dirs(path) {
		if err := joinCgroup(controllers, dir); err != nil {
			errs = append(errs, err)
			continue
		}
		moved++
	}
	if moved == 0 {
		return fmt.Errorf("enter cgroup %s: %w", path, errors.Join(errs...))
	}
	return nil
}

// makeCgroup makes a cgroup that takes processes.
func makeCgroup(controllers, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if strings.Contains(controllers, "cpuset") {
		return inheritCpuset(dir)
	}
	return nil
}

func joinCgroup(controllers, dir string) error {
	if err := makeCgroup(controllers, dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// inheritCpuset fills an empty v1 cpuset from its parents, without which it accepts no process.
func inheritCpuset(dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		parent := filepath.Dir(dir)
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err == nil && strings.TrimSpace(string(value)) == "" {
			if err = inheritCpuset(parent); err == nil {
				value, err = os.ReadFile(filepath.Join(parent, name))
			}
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// newKeeper starts a keeper after ours has died and gives it everything. The new one becomes parent of the shim only by
// starting it, so the caller must end the process afterwards.
func (s *Supervisor) newKeeper() error {
	lock, err := s.awaitLock()
	if err != nil {
		return err
	}
	defer lock.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "keeper"), os.NewFile(uintptr(fds[1]), "keeper")
	defer theirs.Close()
	if err := startKeeper(lock, theirs, s.runDir, strconv.Itoa(os.Getpid())); err != nil {
		ours.Close()
		return err
	}
	s.keeperMu.Lock()
	s.keeper = hold.New(ours)
	s.keeperMu.Unlock()
	return s.holdEverything()
}

// holdEverything gives a new keeper all files.
func (s *Supervisor) holdEverything() error {
	errs := []error{
		s.keeper.Hold(heldListener, s.listen),
		s.keeper.Hold(heldScratchOut, s.scratch[0]), s.keeper.Hold(heldScratchIn, s.scratch[1]),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.containers {
		give := func(what string, f *os.File) {
			if f != nil {
				errs = append(errs, s.keeper.Hold(heldName(id, what), f))
			}
		}
		give(heldPidfd, c.pidfd)
		give(heldStdin, c.stdin)
		give(heldConsole, c.console)
		if c.log != nil {
			give(heldLog, c.log.File())
		}
		for i, what := range []string{heldStdout, heldStderr} {
			if st := c.streams[i]; st != nil && !st.ended && !c.rec.Terminal {
				give(what, st.f)
			}
		}
	}
	return errors.Join(errs...)
}

// awaitLock takes the run directory's lock, which a dying keeper gives up a moment after it has closed its socket.
func (s *Supervisor) awaitLock() (*os.File, error) {
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		lock, err := lockRunDir(s.runDir)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return lock, err
		}
	}
}
