package cluster

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockToClear takes the data directory for taking a cluster down, also where its disk has become read-only: what is outside
// of it must go before anybody can mend the disk.
func lockToClear(path string) (*os.File, error) {
	f, err := lock(path)
	if !errors.Is(err, unix.EROFS) {
		return f, err
	}
	if f, err = os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
