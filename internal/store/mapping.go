package store

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetMapping gives the pages of the database file's mapping back to the page cache. bbolt has all of the file read in
// when it opens it, and walks most of it in a compaction, while in daily work the state is read from the cache of
// objects. Nothing is lost: the mapping is shared and read-only, and what is touched again comes from the page cache.
func forgetMapping(file string) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		from, to, ok := sharedMapping(lines.Text(), file)
		if !ok {
			continue
		}
		// By address: the slice that bbolt has is not ours. A mapping that ended meanwhile is an error here, no harm.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 && errno != unix.ENOMEM {
			return errno
		}
	}
	return lines.Err()
}

// sharedMapping reads one line of maps: address range, permissions, offset, device, inode, file.
func sharedMapping(line, file string) (from, to uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || f[1] != "r--s" || strings.Join(f[5:], " ") != file {
		return 0, 0, false
	}
	a, b, _ := strings.Cut(f[0], "-")
	first, err := strconv.ParseUint(a, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	last, err := strconv.ParseUint(b, 16, 64)
	return uintptr(first), uintptr(last), err == nil && last > first
}
