package pin

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ShmSize is the size of a pod's /dev/shm, as in other runtimes.
const ShmSize = "65536k"

// Shm mounts a pod's shared memory at dir, unless it is there. It belongs to the root of users, where that is not nil.
func Shm(dir string, users *Users) error {
	if mounted, err := IsMount(dir); err != nil || mounted {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("shm: %w", err)
	}
	flags := uintptr(unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NODEV)
	options := "mode=1777,size=" + ShmSize
	if users != nil {
		if uid, gid, ok := users.Root(); ok {
			options += fmt.Sprintf(",uid=%d,gid=%d", uid, gid)
		}
	}
	if err := unix.Mount("shm", dir, "tmpfs", flags, options); err != nil {
		return fmt.Errorf("shm: mount %s: %w", dir, err)
	}
	return nil
}
