package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
)

// SelfTest is what a new binary must pass before a running shim becomes it.
func SelfTest(version string) error {
	if _, err := newPump(); err != nil {
		return err
	}
	fmt.Println("minato-shim", version)
	return nil
}

// checkBinary runs the new binary's self-test.
func checkBinary(ctx context.Context, path string) error {
	if !filepath.IsAbs(path) {
		return invalid("path %q: must be absolute", path)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "selftest")
	cmd.Env = helperEnv
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: self-test of %s failed: %w: %s", shim.ErrInvalid, path, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// upgrade becomes the binary at path. It waits for the calls under way, and stands still in all respects that matter
// (no step of a log is half done, nothing is being created) when execve happens. It only returns on failure.
func (s *Supervisor) upgrade(path string) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.pump.mu.Lock()
	defer s.pump.mu.Unlock()
	s.keeperMu.Lock()
	defer s.keeperMu.Unlock()
	if s.keeper == nil {
		return fmt.Errorf("the keeper is being replaced: %w", shim.ErrUnavailable)
	}
	fd := s.keeper.Fd()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	args := []string{"minato-shim", "shim", s.runDir, strconv.Itoa(s.info.KeeperPid), strconv.Itoa(s.info.Restarts),
		strconv.Itoa(fd), strconv.Itoa(s.info.Upgrades + 1)}
	err := syscall.Exec(path, args, helperEnv[:1])
	unix.CloseOnExec(fd)
	return fmt.Errorf("execute %s: %w", path, err)
}

// keeperGone replaces a dead keeper: a new one is started, takes over every file, and starts our successor once we have
// ended. Containers stay where the kernel put them, children of pid 1, watched through their pidfds.
func (s *Supervisor) keeperGone() {
	s.log.Warn("keeper died; starting another")
	s.gate.Lock() // never released: this process ends
	s.pump.mu.Lock()
	for {
		err := s.newKeeper()
		if err == nil {
			os.Exit(0)
		}
		s.log.Error("cannot replace the keeper, trying again", "err", err)
		time.Sleep(time.Second)
	}
}
