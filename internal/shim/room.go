package shim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enterRoom makes the run directory. Where it would be on a disk, as /run is inside of containers and on small machines, it
// gets a file system of its own in memory: each exec makes and removes some files in it, a reboot is to clear it, and it is
// to be writable when the disk is not. One that has files in it is left as it is: a shim lives there.
func enterRoom(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if inMemory(dir) {
		return nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { // who comes at the same time waits, and then finds it made
		return os.NewSyscallError("flock", err)
	}
	if _, err := f.ReadDir(1); !errors.Is(err, io.EOF) || inMemory(dir) {
		return nil
	}
	if err := unix.Mount("minato", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return os.NewSyscallError("mount private", unix.Mount("", dir, "", unix.MS_PRIVATE, ""))
}

func inMemory(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC
}

// leaveRoom removes the run directory with what is in it.
func leaveRoom(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 && inMemory(dir) {
		if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return os.RemoveAll(dir)
}
