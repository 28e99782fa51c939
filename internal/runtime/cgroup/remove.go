package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is returned by Remove while processes live in the cgroup.
var ErrBusy = errors.New("cgroup has processes")

// Remove removes the cgroup and what is below it from every hierarchy. A missing one is no error. Exited processes
// leave their cgroup a moment late, so a busy one is tried again for up to a second before ErrBusy is returned.
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
