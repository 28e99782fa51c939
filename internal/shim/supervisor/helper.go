package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/jail"
)

// helperTime is after which a helper that hangs (a dead file system, a stuck device) is killed.
const helperTime = 2 * time.Minute

// lockFile is held by a helper as long as it lives.
const lockFile = "lock"

// helperEnv keeps the short-lived Go process from doing work that only pays later.
var helperEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1", "GOGC=off"}

// help runs the helper and returns its result. The helper holds a lock on dir as long as it lives, by an inherited
// descriptor, so that after a crash of the shim its successor waits for it instead of racing with it.
func (s *Supervisor) help(ctx context.Context, verb, dir string, r jail.Request, stdio [3]*os.File, console *os.File) (jail.Result, error) {
	if err := jail.WriteRequest(dir, r); err != nil {
		return jail.Result{}, err
	}
	lock, err := lockHelper(dir, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return jail.Result{}, err
	}
	defer lock.Close()
	null := console
	if console == nil {
		if null, err = os.Open(os.DevNull); err != nil {
			return jail.Result{}, err
		}
		defer null.Close()
	}
	return s.runHelper(ctx, "/proc/self/exe", verb, dir, stdio, null, lock)
}

// runHelper runs a program that writes its result into dir.
func (s *Supervisor) runHelper(ctx context.Context, exe, verb, dir string, stdio [3]*os.File, extra ...*os.File) (jail.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), helperTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, verb, dir)
	cmd.Args[0] = "minato-shim"
	cmd.Env = helperEnv
	setStdio(cmd, stdio)
	cmd.ExtraFiles = extra
	runErr := cmd.Run()
	result, err := jail.ReadResult(dir)
	switch {
	case err == nil && result.Unfit:
		return result, fmt.Errorf("%s: %w", strings.TrimSpace(result.Error), jail.ErrUnfit)
	case err == nil && result.Error != "":
		return result, errors.New(strings.TrimSpace(result.Error))
	case err == nil:
		return result, nil
	case errors.Is(err, fs.ErrNotExist) && runErr != nil:
		return result, fmt.Errorf("helper %s: %w", verb, runErr)
	default:
		return result, fmt.Errorf("helper %s: no result: %w", verb, err)
	}
}

// helperPath is where a child finds the helper to become. It leads through this process's own open files: in those of a child,
// which Go moves to the numbers above the highest that it hands down, the helper's number may be another file's by then.
func (s *Supervisor) helperPath() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.self.Fd())
}

// setStdio keeps nil files nil interfaces, which means /dev/null.
func setStdio(cmd *exec.Cmd, stdio [3]*os.File) {
	if stdio[0] != nil {
		cmd.Stdin = stdio[0]
	}
	if stdio[1] != nil {
		cmd.Stdout = stdio[1]
	}
	if stdio[2] != nil {
		cmd.Stderr = stdio[2]
	}
}

func lockHelper(dir string, how int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), how); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return lock, nil
}
