package hierarchy

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long Remove waits for the dead to leave a cgroup.
const patience = 5 * time.Second

// Remove removes one directory of a cgroup and those below it. A missing one is no error. A killed process leaves its
// cgroup a moment after it has died, and even after its pidfd has told so; nothing tells when. So a busy one is tried
// again for a while, and the kernel's error is returned only then.
func Remove(dir string) error {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := unix.Rmdir(dir)
		switch {
		case err == nil || err == unix.ENOENT:
			return nil
		case err != unix.EBUSY && err != unix.ENOTEMPTY && err != unix.EINTR:
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		if err := removeBelow(dir); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(pause)
	}
}

func removeBelow(dir string) error {
	entries, _ := os.ReadDir(dir) // gone meanwhile, or empty
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
