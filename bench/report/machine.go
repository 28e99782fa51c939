package report

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Machine is where and on what a bench ran.
type Machine struct {
	Kernel string // uname -srm
	CPU    string // the processor's model
	Cores  int
	Memory int64  // bytes
	Load   string // of 1, 5 and 15 minutes
	Commit string // of the tree, with "+" where files differ from it; "" outside of one
	Go     string
}

// Here describes this machine as it is now, and the tree in the working directory.
func Here() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Load: Load(), Commit: commit(), CPU: model()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = strings.Join([]string{unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])}, " ")
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.Memory = int64(s.Totalram) * int64(s.Unit)
	}
	return m
}

// Load is how many threads wanted to run, on average over 1, 5 and 15 minutes: "0.10 0.25 1.00".
func Load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return ""
	}
	c := strings.TrimSpace(string(out))
	// What the benches write themselves makes no other program.
	if exec.Command("git", "diff", "--quiet", "HEAD", "--", ".", ":!bench/results").Run() != nil {
		c += "+"
	}
	return c
}

func model() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// String is one line.
func (m Machine) String() string {
	s := fmt.Sprintf("%s, %d cores", m.Kernel, m.Cores)
	if m.CPU != "" {
		s += " (" + m.CPU + ")"
	}
	s += fmt.Sprintf(", %s GB of memory, %s", strconv.FormatFloat(float64(m.Memory)/1e9, 'f', 1, 64), m.Go)
	if m.Commit != "" {
		s += ", commit " + m.Commit
	}
	return s
}
