package run

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetProgram gives the program's code and constants back to the page cache. A start runs through code and tables of
// which little is needed again, tens of megabytes of the program's file; what is still needed comes back from the page cache
// at its next use, a few pages at a time. Nothing can be lost: these mappings are private and are never written.
func forgetProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	for _, m := range constantMappings(maps, program) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}

// linkedFixed says whether a little-endian ELF file is of the type EXEC.
func linkedFixed(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 18)
	if _, err := io.ReadFull(f, head); err != nil {
		return false, err
	}
	return string(head[:4]) == "\x7fELF" && head[5] == 1 && head[16] == 2 && head[17] == 0, nil
}

type mapping struct{ from, to uintptr }

// constantMappings are those of a file that cannot be written. A line of maps is an address range, permissions, offset,
// device, inode and the file.
func constantMappings(maps io.Reader, file string) (out []mapping) {
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "r--p" && f[1] != "r-xp" || strings.Join(f[5:], " ") != file {
			continue
		}
		a, b, _ := strings.Cut(f[0], "-")
		from, bad := strconv.ParseUint(a, 16, 64)
		to, worse := strconv.ParseUint(b, 16, 64)
		if bad == nil && worse == nil && from < to {
			out = append(out, mapping{uintptr(from), uintptr(to)})
		}
	}
	return out
}
