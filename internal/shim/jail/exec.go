//go:build cgo

package jail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// execute starts a process in a running container and does not wait for it: as an orphan it becomes the keeper's.
func execute(_ string, r Request) (Result, error) {
	own, err := loadProcess(r.Bundle)
	if err != nil {
		return Result{}, err
	}
	c, err := load(r)
	if err != nil {
		return Result{}, err
	}
	if r.Exec == nil {
		return Result{}, errors.New("no process given")
	}
	process, err := newProcess(merge(own, r.Exec))
	if err != nil {
		return Result{}, err
	}
	if err := connect(process, r.Terminal); err != nil {
		return Result{}, err
	}
	for _, dir := range r.Above { // what it starts is born there
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return Result{}, fmt.Errorf("join cgroup: %w", err)
		}
	}
	if err := c.Start(process); err != nil {
		return Result{}, err
	}
	pid, err := process.Pid()
	if err != nil {
		return Result{}, err
	}
	// A process that has already ended and waits to be reaped by its parent, us, still has a start time.
	start, err := startTime(pid)
	return Result{Pid: pid, StartTime: start}, err
}
