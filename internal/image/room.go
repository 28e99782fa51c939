package image

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Images never take the last of a disk: whatever else is on it, the cluster's data above all, must be written too.
const (
	keptFree  = 64 << 20 // or an eighth of a small disk
	lookEvery = 1 << 20  // bytes between two looks
)

// roomFor returns unix.ENOSPC, with words, where size bytes more on the disk of fd would leave less free than that.
func roomFor(fd int, size int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	free, kept := st.Bavail*uint64(st.Bsize), min(uint64(keptFree), st.Blocks*uint64(st.Bsize)/8)
	if size < 0 || uint64(size) > free || free-uint64(size) < kept {
		return fmt.Errorf("a file of %d bytes, and %d are free, of which %d are kept free: %w", size, free, kept, unix.ENOSPC)
	}
	return nil
}
