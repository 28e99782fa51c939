package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prefix begins the name of every run's directory and of all that it makes on the machine.
const prefix = "mbench"

// A place is the directory of one run, in which all data of its clusters is. As long as the run lives it holds a lock
// on it; a later run sweeps places whose lock nobody holds.
type place struct {
	dir, tag string
	lock     *os.File
}

func newPlace() (*place, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	lock, err := hold(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &place{dir: dir, tag: filepath.Base(dir), lock: lock}, nil
}

// hold locks a place; syscall.EWOULDBLOCK says that its run lives.
func hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// close removes the place with all that is left of the run.
func (p *place) close() error {
	err := sweep(p.tag, p.dir)
	if !mounted(p.dir) {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return errors.Join(err, p.lock.Close())
}

// sweepStale removes what runs that were killed have left.
func sweepStale() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		lock, err := hold(dir)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, (&place{dir: dir, tag: filepath.Base(dir), lock: lock}).close())
	}
	return errors.Join(errs...)
}

// mounted says whether anything is mounted below dir: through a mount nothing may be removed.
func mounted(dir string) bool {
	b, err := os.ReadFile("/proc/self/mountinfo")
	return err != nil || strings.Contains(string(b), fmt.Sprintf(" %s/", dir))
}
