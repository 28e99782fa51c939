package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is returned by Remove while processes live in the cgroup.
var ErrBusy = errors.New("cgroup has processes")

// Remove removes the cgroup and what is below it from every hierarchy. A missing one is no error. Exited processes
// leave their cgroup a moment late, so a busy one is tried again for up to a second before ErrBusy is returned. What is
// still there after a while is killed: a process of a container whose making was cut off has nobody else to end it.
func (t *Tree) Remove(ctx context.Context, path string) error {
	if err := Check(path); err != nil {
		return err
	}
	for _, dir := range t.Dirs(path) {
		if err := removePatiently(ctx, dir); err != nil {
			return fmt.Errorf("cgroup %s: %w", path, err)
		}
	}
	return nil
}

func removePatiently(ctx context.Context, dir string) error {
	wait := time.Millisecond
	for {
		err := removeTree(dir)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if wait > 512*time.Millisecond {
			return fmt.Errorf("%w: %s", ErrBusy, dir)
		}
		if wait > 32*time.Millisecond {
			if err := killStrays(dir); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			wait *= 2
		}
	}
}

// removeTree removes the directories from the leaves up; the files in them go by themselves.
func removeTree(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	entries, rerr := os.ReadDir(dir)
	if errors.Is(rerr, fs.ErrNotExist) {
		return nil
	}
	if rerr != nil {
		return rerr
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// killStrays kills every process in the cgroup and below it.
func killStrays(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil // the cgroup went meanwhile
		}
		for _, field := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
			}
		}
		return nil
	})
}
