package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock has one at a time, of all processes, make, start or remove what has this name: commands and the Keeper do so side
// by side. It is held on the container's log directory and ends with the process at the latest.
func (e *Engine) lock(ctx context.Context, name string) (unlock func(), err error) {
	return lockDir(ctx, e.logDir(name), unix.LOCK_EX)
}

// Hold returns the container as it is now, and keeps it from being started or removed until release is called.
func (e *Engine) Hold(ctx context.Context, c Container) (now Container, release func() error, err error) {
	unlock, err := e.lock(ctx, c.Spec.Name)
	if err != nil {
		return c, nil, err
	}
	if now, err = e.locked(ctx, c); err != nil {
		unlock()
		return c, nil, err
	}
	return now, func() error { unlock(); return nil }, nil
}

// locked is the container as it is now, whose lock the caller has. Where nothing has the name any more the lock's directory goes.
func (e *Engine) locked(ctx context.Context, c Container) (Container, error) {
	now, err := e.Find(ctx, c.Spec.Name)
	if IsGone(err) {
		return c, errors.Join(err, e.forget(c.Spec))
	}
	if err == nil && now.Spec.Nonce != c.Spec.Nonce {
		return c, fmt.Errorf("%w: %s", ErrNotFound, c.Handle())
	}
	return now, err
}

// lockDir makes dir where it is missing and locks it.
func lockDir(ctx context.Context, dir string, how int) (unlock func(), err error) {
	for {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f, how); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if sameDir(f, dir) {
			return func() { f.Close() }, nil
		}
		f.Close() // whoever had it has removed it
	}
}

func flock(ctx context.Context, f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond): // the kernel tells nobody that a lock is free
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func sameDir(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// syncDir makes the names in dir last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func within(dir, name string) string { return filepath.Join(dir, filepath.Base(name)) }
