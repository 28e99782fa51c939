// Package cgroup counts the CPU time of everything that a cluster starts, containers and short-lived helpers included,
// by control groups of its own. The commands in bench use it; nothing in it is safe concurrently. It knows both versions.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const root = "/sys/fs/cgroup"

// A Group is one cgroup in every hierarchy, and further ones whose CPU time belongs to it.
type Group struct {
	Path   string   // below the root, as the kubelet's cgroupRoot wants it
	counts []string // directories whose CPU time is counted
}

// New makes the group; Close removes it with all that is in it.
func New(name string) (*Group, error) {
	g := &Group{Path: "/" + name}
	for _, h := range hierarchies() {
		dir := filepath.Join(h, g.Path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} { // empty ones in version 1 let nothing in
			if b, err := os.ReadFile(filepath.Join(h, f)); err == nil {
				if err := os.WriteFile(filepath.Join(dir, f), b, 0o644); err != nil {
					return nil, err
				}
			}
		}
	}
	g.Count(g.Path)
	return g, nil
}

// Leftovers are the groups whose names begin with prefix, in any hierarchy; Close removes each from all of them.
func Leftovers(prefix string) (out []*Group) {
	seen := map[string]bool{}
	for _, h := range append(hierarchies(), root+"/unified") {
		dirs, err := filepath.Glob(filepath.Join(h, prefix+"*"))
		if err != nil {
			return nil
		}
		for _, d := range dirs {
			if name := filepath.Base(d); !seen[name] {
				seen[name] = true
				out = append(out, &Group{Path: "/" + name})
			}
		}
	}
	return out
}

// hierarchies are the roots of all hierarchies; version 2 has one.
func hierarchies() (out []string) {
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		return []string{root}
	}
	dirs, err := filepath.Glob(root + "/*/cgroup.procs")
	if err != nil {
		return nil
	}
	for _, d := range dirs {
		if h := filepath.Dir(d); filepath.Base(h) != "unified" {
			out = append(out, h)
		}
	}
	return out
}

// accounting is the hierarchy that counts CPU time.
func accounting() string {
	if _, err := os.Stat(root + "/cpuacct"); err == nil {
		return root + "/cpuacct"
	}
	return root
}

// Count adds another cgroup's CPU time, also one that does not exist yet.
func (g *Group) Count(path string) { g.counts = append(g.counts, filepath.Join(accounting(), path)) }

// Start starts a command within the group.
func (g *Group) Start(c *exec.Cmd) error {
	if err := c.Start(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(accounting(), g.Path, "cgroup.procs"), []byte(strconv.Itoa(c.Process.Pid)), 0o644)
}

// CPU is the time that everything in it has used since it was made.
func (g *Group) CPU() (total time.Duration, err error) {
	for _, dir := range g.counts {
		d, err := usage(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		total += d
	}
	return total, nil
}

func usage(dir string) (time.Duration, error) {
	b, err := os.ReadFile(dir + "/cpuacct.usage")
	if err == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		return time.Duration(n), err
	}
	if b, err = os.ReadFile(dir + "/cpu.stat"); err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "usage_usec" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s/cpu.stat: no usage_usec", dir)
}

// Kill ends all that is in the group and waits until it has gone.
func (g *Group) Kill() error {
	dir := filepath.Join(accounting(), g.Path)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n := kill(dir)
		if n == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %d processes do not end", dir, n)
		}
	}
}

// Close ends what is still in the group and removes it.
func (g *Group) Close() error {
	var errs []error
	// Container runtimes also make the path in a version 2 hierarchy that is mounted beside those of version 1.
	for _, h := range append(hierarchies(), root+"/unified") {
		errs = append(errs, remove(filepath.Join(h, g.Path)))
	}
	return errors.Join(errs...)
}

// remove tries until a deadline: a process that was killed takes a moment to go.
func remove(dir string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		kill(dir)
		err := removeTree(dir)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// kill signals all processes below dir and says how many there were.
func kill(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // gone meanwhile
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil
		}
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // one that has gone meanwhile needs none
				n++
			}
		}
		return nil
	})
	return n
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
