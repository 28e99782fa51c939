package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Process is what the kernel has counted for one process since its start.
type Process struct {
	PID     int
	Name    string // program and first argument
	PSS     int64  // bytes of memory, shared pages divided among their users
	Anon    int64  // bytes of it that no file backs
	CPU     time.Duration
	Written int64 // bytes sent to a disk
	Wakeups int64 // times a thread of it began to run
}

// Processes returns the processes whose network namespace is n, in order of their ids. One that ends meanwhile is left out.
func (n *Netns) Processes() ([]Process, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(n.path, &st); err != nil {
		return nil, err
	}
	want := fmt.Sprintf("net:[%d]", st.Ino)
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var out []Process
	for _, dir := range dirs {
		if inode(dir+"/ns/net") != want {
			continue
		}
		if p, err := read(dir); err == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

func read(dir string) (Process, error) {
	var p Process
	var err error
	if p.PID, err = strconv.Atoi(filepath.Base(dir)); err != nil {
		return p, err
	}
	if p.Name, err = name(dir); err != nil {
		return p, err
	}
	memory, err := fields(dir + "/smaps_rollup")
	if err != nil {
		return p, err
	}
	io, err := fields(dir + "/io")
	if err != nil {
		return p, err
	}
	p.PSS, p.Anon, p.Written = memory["Pss"]<<10, memory["Pss_Anon"]<<10, io["write_bytes"]
	if p.CPU, err = cpu(dir); err != nil {
		return p, err
	}
	p.Wakeups = wakeups(dir)
	return p, nil
}

func name(dir string) (string, error) {
	b, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return "", err
	}
	args := strings.SplitN(string(b), "\x00", 3)
	args[0] = filepath.Base(args[0])
	return strings.Join(args[:min(2, len(args))], " "), nil
}

// fields reads a file of lines "name: number ...".
func fields(file string) (map[string]int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 {
			if v, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				out[strings.TrimSuffix(f[0], ":")] = v
			}
		}
	}
	return out, nil
}

// Memory is a figure of a process that the kernel counts in KB, in bytes: "VmHWM" of the file "status". 0 where the process has ended.
func Memory(pid int, file, field string) int64 {
	f, err := fields(filepath.Join("/proc", strconv.Itoa(pid), file))
	if err != nil {
		return 0
	}
	return f[field] << 10
}

// cpu reads user and system time from stat, whose second field, the name in parentheses, may hold anything. A tick is a
// hundredth of a second on every architecture that Go runs Linux on.
func cpu(dir string) (time.Duration, error) {
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("%s/stat: %d fields", dir, len(f))
	}
	user, err := strconv.ParseInt(string(f[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(f[12]), 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

func wakeups(dir string) (n int64) {
	tasks, err := filepath.Glob(dir + "/task/*/status")
	if err != nil {
		return 0
	}
	for _, t := range tasks {
		if f, err := fields(t); err == nil {
			n += f["voluntary_ctxt_switches"]
		}
	}
	return n
}

// Total adds processes up.
func Total(ps []Process) Process {
	t := Process{Name: "all"}
	for _, p := range ps {
		t.PSS, t.Anon, t.CPU, t.Written, t.Wakeups = t.PSS+p.PSS, t.Anon+p.Anon, t.CPU+p.CPU, t.Written+p.Written, t.Wakeups+p.Wakeups
	}
	return t
}

// Since returns what each process counted after before was taken; memory is as it is now.
func Since(before, after []Process) []Process {
	old := map[int]Process{}
	for _, p := range before {
		old[p.PID] = p
	}
	out := make([]Process, len(after))
	for i, p := range after {
		b := old[p.PID]
		p.CPU, p.Written, p.Wakeups = p.CPU-b.CPU, p.Written-b.Written, p.Wakeups-b.Wakeups
		out[i] = p
	}
	return out
}
