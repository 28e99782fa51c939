// Package machine reads what the node's machine is and has.
//
// The kubelet calls Read at its start and Pressure when it looks after itself. Functions only read; tests give Parse
// functions their text.
package machine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Info is what does not change while the machine runs.
type Info struct {
	CPUs            int
	Memory          int64 // bytes, the machine's or that of the cgroup we are confined to
	Swap            int64
	Disk            int64 // bytes of the file system of the root directory
	Inodes          int64
	ImageDisk       int64 // of the file system of the images
	ImageInodes     int64
	Reach           int64            // of Disk without what the file system keeps for its administrator: percentages are of this
	ImageReach      int64            // of ImageDisk
	Pids            int64            // that the kernel can count
	HugePages       map[string]int64 // "hugepages-2Mi" -> bytes
	MachineID       string
	SystemUUID      string
	BootID          string
	Kernel, OSImage string
	Arch            string
}

// Read looks at the machine; dir and images are on the file systems whose sizes count.
func Read(dir, images string) (Info, error) {
	mem, err := Meminfo()
	if err != nil {
		return Info{}, err
	}
	i := Info{CPUs: runtime.NumCPU(), Memory: mem["MemTotal"], Swap: mem["SwapTotal"], Arch: runtime.GOARCH, HugePages: hugePages("/sys/kernel/mm/hugepages"),
		MachineID: firstLine("/etc/machine-id", "/var/lib/dbus/machine-id"), SystemUUID: firstLine("/sys/class/dmi/id/product_uuid"),
		BootID: firstLine("/proc/sys/kernel/random/boot_id"), OSImage: osImage("/etc/os-release")}
	if limit := cgroupMemory(); limit > 0 && limit < i.Memory {
		i.Memory = limit
	}
	if i.SystemUUID == "" {
		i.SystemUUID = i.MachineID
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Info{}, fmt.Errorf("size of the file system of %s: %w", dir, err)
	}
	i.Disk, i.Inodes, i.Reach = int64(fs.Blocks)*fs.Bsize, int64(fs.Files), reach(&fs)
	if err := unix.Statfs(images, &fs); err != nil {
		return Info{}, fmt.Errorf("size of the file system of %s: %w", images, err)
	}
	i.ImageDisk, i.ImageInodes, i.ImageReach, i.Pids = int64(fs.Blocks)*fs.Bsize, int64(fs.Files), reach(&fs), pidsMost()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Info{}, err
	}
	i.Kernel = unix.ByteSliceToString(u.Release[:])
	return i, nil
}

// reach is how much of a file system can be filled at all, as df counts: without the blocks that are reserved.
func reach(fs *unix.Statfs_t) int64 { return int64(fs.Blocks-fs.Bfree+fs.Bavail) * fs.Bsize }

// Fill returns how many bytes of the file system of path are used, and how many there are to use.
func Fill(path string) (used, size int64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, 0, fmt.Errorf("size of the file system of %s: %w", path, err)
	}
	return int64(fs.Blocks-fs.Bfree) * fs.Bsize, reach(&fs), nil
}

// Meminfo is /proc/meminfo in bytes.
func Meminfo() (map[string]int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]int64{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		if len(f) == 3 && f[2] == "kB" {
			n <<= 10
		}
		out[strings.TrimSuffix(f[0], ":")] = n
	}
	return out, sc.Err()
}

// cgroupMemory is the limit of the cgroup that we are in, 0 where there is none.
func cgroupMemory() int64 {
	for _, p := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if n, err := strconv.ParseInt(firstLine(p), 10, 64); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

func hugePages(dir string) map[string]int64 {
	out := map[string]int64{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(e.Name(), "hugepages-"), "kB"), 10, 64)
		if err != nil {
			continue
		}
		n, _ := strconv.ParseInt(firstLine(filepath.Join(dir, e.Name(), "nr_hugepages")), 10, 64)
		name := fmt.Sprintf("hugepages-%dMi", kb>>10)
		if kb >= 1<<20 {
			name = fmt.Sprintf("hugepages-%dGi", kb>>20)
		} else if kb < 1<<10 {
			name = fmt.Sprintf("hugepages-%dKi", kb)
		}
		out[name] = n * kb << 10
	}
	return out
}

func firstLine(paths ...string) string {
	for _, p := range paths {
		if raw, err := os.ReadFile(p); err == nil {
			line, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
			if line != "" {
				return line
			}
		}
	}
	return ""
}

func osImage(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "Linux"
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}

// Free is what is left of something, in bytes or in numbers.
type Free struct{ Memory, Disk, Inodes, ImageDisk, ImageInodes, Pids int64 }

// Pressure reads what is left now.
func Pressure(dir, images string) (Free, error) {
	mem, err := Meminfo()
	if err != nil {
		return Free{}, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Free{}, err
	}
	f := Free{Memory: mem["MemAvailable"], Disk: int64(fs.Bavail) * fs.Bsize, Inodes: int64(fs.Ffree), Pids: pidsLeft()}
	if err := unix.Statfs(images, &fs); err != nil {
		return Free{}, err
	}
	f.ImageDisk, f.ImageInodes = int64(fs.Bavail)*fs.Bsize, int64(fs.Ffree)
	return f, nil
}

func pidsMost() int64 {
	most, err := strconv.ParseInt(firstLine("/proc/sys/kernel/pid_max"), 10, 64)
	if err != nil {
		return 1 << 20
	}
	return most
}

// pidsLeft is the kernel's limit less the threads that exist.
func pidsLeft() int64 {
	most := pidsMost()
	f := strings.Fields(firstLine("/proc/loadavg"))
	if len(f) < 4 {
		return most
	}
	_, total, _ := strings.Cut(f[3], "/")
	n, _ := strconv.ParseInt(total, 10, 64)
	return most - n
}

// Boot is when the machine started.
func Boot() time.Time {
	f := strings.Fields(firstLine("/proc/uptime"))
	if len(f) == 0 {
		return time.Time{}
	}
	s, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(s * float64(time.Second)))
}

// CPUTime is the CPU time in nanoseconds that the machine has spent on anything but waiting.
func CPUTime() (uint64, bool) {
	f := strings.Fields(firstLine("/proc/stat"))
	if len(f) < 9 {
		return 0, false
	}
	const tick = 10_000_000 // nanoseconds of USER_HZ
	total := uint64(0)
	for i, s := range f[1:9] {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 { // idle, iowait
			total += n
		}
	}
	return total * tick, true
}
