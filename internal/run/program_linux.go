package run

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cutProgram cuts the program's code and constants into grains and returns where they are, for forget. What it cannot cut
// stays whole; it returns an empty list, not nil, where it cannot find them.
func cutProgram() []mapping {
	found := []mapping{}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return found
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return found
	}
	defer maps.Close()
	found = append(found, constantMappings(maps, program)...)
	for _, m := range found {
		if err := split(m); err != nil { // too many mappings
			break
		}
	}
	return found
}

// forget gives the program's code and constants back to the page cache. A start, or a burst, runs through code and tables of
// which little is needed again, tens of megabytes of the program's file; what is still needed comes back from the page cache
// at its next use, a grain at a time. Nothing can be lost: these mappings are private, cannot be written and have not been,
// as those of a position-independent program are while it is relocated.
func forget(program []mapping) error {
	for _, m := range program {
		if err := advise(m, unix.MADV_DONTNEED); err != nil {
			return err
		}
	}
	return nil
}

// grain is how much of the program comes back at once. The kernel maps 64 KB around whatever is touched, where it is in the
// page cache, and a program at rest touches a little of everything: of 26 MB that came back, 15 were neighbours. It never
// maps beyond a mapping, though, so the program is cut into mappings of this size, each with 200 bytes in the kernel.
const grain = 16 << 10

// split has every second grain differ from its neighbours, in whether a core dump would have it: no core dump has what can
// be read in the program's file.
func split(m mapping) error {
	for at := m.from / grain * grain; at < m.to; at += grain {
		if at/grain%2 == 0 {
			continue
		}
		if err := advise(mapping{max(at, m.from), min(at+grain, m.to)}, unix.MADV_DONTDUMP); err != nil {
			return err
		}
	}
	return nil
}

func advise(m mapping, advice uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, advice); errno != 0 {
		return errno
	}
	return nil
}

type mapping struct{ from, to uintptr }

// constantMappings are those of a file that cannot be written and of which nothing was: what was would be lost. In smaps a line
// with an address range, permissions, offset, device, inode and the file stands above a mapping's figures.
func constantMappings(smaps io.Reader, file string) (out []mapping) {
	var last *mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 3 && f[0] == "Anonymous:":
			if last != nil && f[1] == "0" {
				out = append(out, *last)
			}
			last = nil
		case len(f) >= 6 && (f[1] == "r--p" || f[1] == "r-xp") && strings.Join(f[5:], " ") == file:
			last = parseMapping(f[0])
		}
	}
	return out
}

func parseMapping(text string) *mapping {
	a, b, _ := strings.Cut(text, "-")
	from, bad := strconv.ParseUint(a, 16, 64)
	to, worse := strconv.ParseUint(b, 16, 64)
	if bad != nil || worse != nil || from >= to {
		return nil
	}
	return &mapping{uintptr(from), uintptr(to)}
}
