// Package cgroup makes, limits, reads and removes the cgroups of pods, on cgroup v1 (one hierarchy for each controller)
// and v2 (one for all).
//
// The runtime calls it for the pod's own cgroup and for statistics; the cgroups of containers are made by the shim. A
// path is the cgroupfs one, "/kubepods/burstable/pod<uid>", below the root of every hierarchy. A Tree does not change and
// is safe for concurrent use. Tests need root and work below a cgroup of their own; what parses is tested on text.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is how this machine's cgroups are mounted.
type Tree struct {
	v2    string            // mount point of the unified hierarchy, where it has the controllers
	v1    map[string]string // controller to mount point
	roots []string          // mount points of all hierarchies, each once
}

// Find reads the mounts of this machine. Where a v1 memory controller is mounted the machine counts as v1, although a
// unified hierarchy may be there beside it.
func Find() (*Tree, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	t := parse(string(data))
	if t.v2 == "" && t.v1["memory"] == "" {
		return nil, errors.New("cgroups: neither cgroup2 nor the v1 memory controller is mounted below /sys/fs/cgroup")
	}
	return t, nil
}

// parse finds the hierarchies in the text of mountinfo.
func parse(mountinfo string) *Tree {
	t := &Tree{v1: map[string]string{}}
	unified := ""
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		f, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(tail) < 3 || !strings.HasPrefix(f[4], "/sys/fs/cgroup") {
			continue
		}
		switch tail[0] {
		case "cgroup2":
			unified = f[4]
		case "cgroup":
			t.addV1(f[4], tail[2])
		default:
			continue
		}
		if !slices.Contains(t.roots, f[4]) {
			t.roots = append(t.roots, f[4])
		}
	}
	if t.v1["memory"] == "" {
		t.v2 = unified
	}
	return t
}

// addV1 notes the controllers that a v1 hierarchy's mount options name.
func (t *Tree) addV1(point, options string) {
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "hugetlb", "freezer", "blkio":
			t.v1[o] = point
		}
	}
}

// V2 reports whether the unified hierarchy has the controllers.
func (t *Tree) V2() bool { return t.v2 != "" }

// Has reports whether controller can limit anything here.
func (t *Tree) Has(controller string) bool {
	if t.V2() {
		data, err := os.ReadFile(filepath.Join(t.v2, "cgroup.controllers"))
		return err == nil && slices.Contains(strings.Fields(string(data)), controller)
	}
	return t.v1[controller] != ""
}

// dir is the directory of path under controller.
func (t *Tree) dir(controller, path string) string {
	if t.V2() {
		return filepath.Join(t.v2, path)
	}
	return filepath.Join(t.v1[controller], path)
}

// Dirs returns path's directory in every hierarchy.
func (t *Tree) Dirs(path string) []string {
	var dirs []string
	for _, r := range t.roots {
		dirs = append(dirs, filepath.Join(r, path))
	}
	return dirs
}

// Exists reports whether the cgroup is there.
func (t *Tree) Exists(path string) bool {
	_, err := os.Stat(t.dir("memory", path))
	return err == nil
}

// Check refuses paths that do not name a cgroup below the root.
func Check(path string) error {
	if !strings.HasPrefix(path, "/") || filepath.Clean(path) != path || path == "/" {
		return fmt.Errorf("cgroup %q: want an absolute cgroupfs path below the root, like /kubepods/pod1", path)
	}
	return nil
}

// Make makes the cgroup in every hierarchy that matters and reports whether it was missing.
func (t *Tree) Make(path string) (made bool, err error) {
	if err := Check(path); err != nil {
		return false, err
	}
	made = !t.Exists(path)
	if t.V2() {
		return made, t.makeV2(path)
	}
	for _, controller := range counted {
		if root := t.v1[controller]; root != "" {
			if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
				return made, fmt.Errorf("cgroup %s: %w", path, err)
			}
		}
	}
	return made, nil
}

// counted are the controllers of version 1 by which every pod is counted or weighed. In the others it has a cgroup when it
// has a limit there.
var counted = []string{"cpu", "cpuacct", "memory"}

// makeFor makes what a limit of the controller is written to, where Make did not.
func (t *Tree) makeFor(controller, path string) error {
	if t.V2() || slices.Contains(counted, controller) {
		return nil
	}
	if err := os.MkdirAll(t.dir(controller, path), 0o755); err != nil || controller != "cpuset" {
		return err
	}
	return t.fillCpuset(path)
}

// makeV2 makes each part of path and hands all controllers down to it.
func (t *Tree) makeV2(path string) error {
	dir := t.v2
	for _, part := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if err := delegate(dir); err != nil {
			return err
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cgroup %s: %w", path, err)
		}
	}
	return delegate(dir)
}

// delegate turns on in dir's children the controllers that dir has.
func delegate(dir string) error {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	on, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	for _, c := range strings.Fields(string(have)) {
		if slices.Contains(strings.Fields(string(on)), c) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("cgroup %s: hand down controller %s: %w", dir, c, err)
		}
	}
	return nil
}

// fillCpuset copies the parents' processors and memory nodes down: v1 begins with none, and then no process fits in.
func (t *Tree) fillCpuset(path string) error {
	root := t.v1["cpuset"]
	if root == "" {
		return nil
	}
	dir := root
	for _, part := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		parent := dir
		dir = filepath.Join(dir, part)
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(parent, dir, f); err != nil {
				return fmt.Errorf("cgroup %s: %w", path, err)
			}
		}
	}
	return nil
}

func inherit(parent, dir, file string) error {
	own, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil || strings.TrimSpace(string(own)) != "" {
		return err
	}
	v, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file), v, 0)
}
