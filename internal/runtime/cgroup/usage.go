package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a cgroup and all below it take. Sizes are bytes.
type Usage struct {
	Time       time.Time
	CPU        time.Duration // all processors together, since the cgroup was made
	Memory     uint64
	WorkingSet uint64 // Memory without the file pages that can be dropped at once
	RSS        uint64
	Faults     uint64
	MajorFault uint64
	Limit      uint64 // of memory; 0: none
	Swap       uint64
	SwapLimit  uint64 // 0: none, or swap is not accounted
	Processes  uint64
	PSI        map[string]PSI // by "cpu", "memory", "io"; v2 only
}

// PSI is how long tasks waited for a resource.
type PSI struct{ Some, Full Pressure }

// Pressure are percentages over 10, 60 and 300 seconds and the total time.
type Pressure struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration
}

// Usage reads the cgroup. The error wraps fs.ErrNotExist where the cgroup is gone.
func (t *Tree) Usage(path string, now time.Time) (Usage, error) {
	u := Usage{Time: now}
	read := t.usageV1
	if t.V2() {
		read = t.usageV2
	}
	if err := read(path, &u); err != nil {
		return Usage{}, fmt.Errorf("cgroup %s: %w", path, err)
	}
	return u, nil
}

func (t *Tree) usageV1(path string, u *Usage) error {
	cpu, err := readUint(filepath.Join(t.dir("cpuacct", path), "cpuacct.usage"))
	if err != nil {
		return err
	}
	u.CPU = time.Duration(cpu)
	mem := t.dir("memory", path)
	if u.Memory, err = readUint(filepath.Join(mem, "memory.usage_in_bytes")); err != nil {
		return err
	}
	stat, err := readStat(filepath.Join(mem, "memory.stat"))
	if err != nil {
		return err
	}
	u.RSS, u.Faults, u.MajorFault = stat["total_rss"], stat["total_pgfault"], stat["total_pgmajfault"]
	u.WorkingSet = minus(u.Memory, stat["total_inactive_file"])
	u.Limit = limit(stat["hierarchical_memory_limit"])
	u.Swap, u.SwapLimit = stat["total_swap"], minus(limit(stat["hierarchical_memsw_limit"]), u.Limit)
	u.Processes, err = tasks(mem)
	return err
}

// tasks counts the processes and threads of a version 1 cgroup and those below it: what pids.current says, which most
// containers have no cgroup for.
func tasks(dir string) (n uint64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "tasks"))
	if err != nil {
		return 0, err
	}
	n = uint64(bytes.Count(b, []byte("\n")))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		below, err := tasks(filepath.Join(dir, e.Name()))
		if err != nil && !missing(err) {
			return 0, err
		}
		n += below
	}
	return n, nil
}

func (t *Tree) usageV2(path string, u *Usage) error {
	dir := t.dir("", path)
	cpu, err := readStat(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return err
	}
	u.CPU = time.Duration(cpu["usage_usec"]) * time.Microsecond
	if u.Memory, err = readUint(filepath.Join(dir, "memory.current")); err != nil {
		return err
	}
	stat, err := readStat(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return err
	}
	u.RSS, u.Faults, u.MajorFault = stat["anon"], stat["pgfault"], stat["pgmajfault"]
	u.WorkingSet = minus(u.Memory, stat["inactive_file"])
	if u.Limit, err = readMax(filepath.Join(dir, "memory.max")); err != nil {
		return err
	}
	if err := readSwapV2(dir, u); err != nil {
		return err
	}
	if u.Processes, err = readUint(filepath.Join(dir, "pids.current")); err != nil && !missing(err) {
		return err
	}
	u.PSI = map[string]PSI{}
	for _, r := range []string{"cpu", "memory", "io"} {
		if data, err := os.ReadFile(filepath.Join(dir, r+".pressure")); err == nil {
			u.PSI[r] = parsePSI(string(data))
		}
	}
	return nil
}

// readSwapV2 leaves zeros where the kernel does not account swap.
func readSwapV2(dir string, u *Usage) (err error) {
	if u.Swap, err = readUint(filepath.Join(dir, "memory.swap.current")); missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	u.SwapLimit, err = readMax(filepath.Join(dir, "memory.swap.max"))
	return err
}

// OOMKills counts the processes that the kernel killed in the cgroup for memory.
func (t *Tree) OOMKills(path string) (uint64, error) {
	file := filepath.Join(t.dir("memory", path), "memory.oom_control")
	if t.V2() {
		file = filepath.Join(t.dir("memory", path), "memory.events")
	}
	stat, err := readStat(file)
	return stat["oom_kill"], err
}

func minus(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// limit reads v1's way to say "none": the largest page-aligned number.
func limit(v uint64) uint64 {
	if v >= 1<<62 {
		return 0
	}
	return v
}

func readUint(file string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

// readMax reads a v2 limit; "max" is 0.
func readMax(file string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(data))
	if text == "max" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

func readStat(file string) (map[string]uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseStat(string(data)), nil
}

// parseStat reads lines of "name number" and passes over others.
func parseStat(text string) map[string]uint64 {
	stat := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseUint(value, 10, 64); err == nil {
			stat[name] = v
		}
	}
	return stat
}

// parsePSI reads the two lines of a pressure file.
func parsePSI(text string) PSI {
	var p PSI
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		to := &p.Some
		if f[0] == "full" {
			to = &p.Full
		}
		for _, kv := range f[1:] {
			to.set(strings.Cut(kv, "="))
		}
	}
	return p
}

func (p *Pressure) set(name, value string, _ bool) {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return
	}
	switch name {
	case "avg10":
		p.Avg10 = v
	case "avg60":
		p.Avg60 = v
	case "avg300":
		p.Avg300 = v
	case "total":
		p.Total = time.Duration(v) * time.Microsecond
	}
}
