//go:build cgo

package jail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups/manager"
	"golang.org/x/sys/unix"
)

// Files in the helper's directory.
const (
	pidFile     = "pid"
	processFile = "process.json"
)

// foreignCreate has an OCI runtime of the node build the container, whose init then waits for the runtime's "start". The
// runtime ends, and init, an orphan, becomes the keeper's.
func foreignCreate(dir string, r Request) (Result, error) {
	paths, err := cgroupPaths(r)
	if err != nil {
		return Result{}, err
	}
	f, err := newForeign(dir, r)
	if err != nil {
		return Result{}, err
	}
	if err := commonBundle(dir, r.Bundle); err != nil {
		return Result{}, err
	}
	pid, err := f.spawn("create", "--bundle", dir)
	if err != nil {
		_ = f.run("delete", "--force", r.ID) // what is left then is undone by the shim
		return Result{}, err
	}
	for key, path := range paths { // the runtime may leave hierarchies out
		if _, err := os.Stat(path); err != nil {
			delete(paths, key)
		}
	}
	result, err := reapOrLeave(pid)
	result.CgroupPaths = paths
	return result, err
}

// cgroupPaths are the directories that the container's cgroup has, or is going to have.
func cgroupPaths(r Request) (map[string]string, error) {
	spec, err := LoadSpec(r.Bundle)
	if err != nil {
		return nil, err
	}
	config, err := libcontainerConfig(r, spec)
	if err != nil {
		return nil, err
	}
	m, err := manager.New(config.Cgroups)
	if err != nil {
		return nil, err
	}
	return m.GetPaths(), nil
}

// foreignStart lets a created container's process run. One that runs or has ended already has been started.
func foreignStart(dir string, r Request) (Result, error) {
	f, err := newForeign(dir, r)
	if err != nil {
		return Result{}, err
	}
	err = f.run("start", r.ID)
	if status, stateErr := f.status(); err != nil && stateErr == nil && slices.Contains([]string{"running", "stopped"}, status) {
		err = nil
	}
	return Result{}, err
}

// foreignExec starts a process in a running container and does not wait for it.
func foreignExec(dir string, r Request) (Result, error) {
	own, err := loadProcess(r.Bundle)
	if err != nil {
		return Result{}, err
	}
	if r.Exec == nil {
		return Result{}, errors.New("no process given")
	}
	process := merge(own, r.Exec)
	process.Terminal = r.Terminal
	if err := restrictOOMScore(process); err != nil {
		return Result{}, err
	}
	// Some runtimes leave a session's score at what they have themselves.
	if err := os.WriteFile("/proc/self/oom_score_adj", strconv.AppendInt(nil, int64(*process.OOMScoreAdj), 10), 0); err != nil {
		return Result{}, err
	}
	if err := WriteJSON(filepath.Join(dir, processFile), process); err != nil {
		return Result{}, err
	}
	f, err := newForeign(dir, r)
	if err != nil {
		return Result{}, err
	}
	pid, err := f.spawn("exec", "--detach", "--process", filepath.Join(dir, processFile))
	if err != nil {
		return Result{}, err
	}
	return reapOrLeave(pid)
}

// reapOrLeave is about a process that has become our child. When we end it becomes the keeper's, who may have died; so one
// that has ended by now is seen by us.
func reapOrLeave(pid int) (Result, error) {
	start, err := startTime(pid)
	if err != nil {
		return Result{}, err
	}
	r := Result{Pid: pid, StartTime: start}
	var status unix.WaitStatus
	if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil || got != pid {
		return r, nil // it lives, or is the child of somebody else who will see its end
	}
	r.Exit = &Exit{Code: status.ExitStatus(), When: time.Now()}
	if status.Signaled() {
		r.Exit.Signal = status.Signal()
		r.Exit.Code = 128 + int(r.Exit.Signal)
	}
	return r, nil
}

// foreignDelete makes the runtime forget a container, whose hooks for that run. The runtime may be gone from the node: the
// shim removes what is left.
func foreignDelete(dir string, r Request) (Result, error) {
	f, err := newForeign(dir, r)
	if err != nil {
		return Result{}, err
	}
	return Result{}, f.run("delete", "--force", r.ID)
}

// spawn runs a command that ends when a process of the container has come to be, and returns that process.
func (f *foreign) spawn(command string, args ...string) (pid int, err error) {
	path := filepath.Join(f.dir, pidFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	args = append([]string{command, "--pid-file", path}, args...)
	var console *consoleRelay
	if f.terminal {
		if console, err = newConsoleRelay(f.dir); err != nil {
			return 0, err
		}
		defer console.close()
		args = append(args, "--console-socket", console.path())
	}
	if err := f.run(append(args, f.id)...); err != nil {
		return 0, err
	}
	if console != nil {
		if err := console.pass(); err != nil {
			return 0, err
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("%s %s left no process id: %w", f.name(), command, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
