// Package cgroup keeps the cgroups of pods: <root>/[burstable|besteffort/]pod<uid>, on cgroup v1 and v2.
//
// The runtime makes the containers' cgroups below the pod's; this package makes the pod's with the sum of its
// containers' limits and removes it when they are gone. Methods are safe for concurrent use. Tests use a root of their
// own in the kernel's hierarchies.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Tree is the cgroups of all pods of a node.
type Tree struct {
	root    string
	unified string            // mount point of the v2 hierarchy; empty on v1
	v1      map[string]string // controller -> mount point
	points  []string          // of every hierarchy, v2 beside v1 too: runtimes make directories in all of them

	mu     sync.Mutex
	shares map[corev1.PodQOSClass]map[types.UID]int64 // milli CPU requests
}

// New finds the kernel's hierarchies. root is the absolute cgroup path of all pods.
func New(root string) (*Tree, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &Tree{root: filepath.Clean("/" + root), v1: map[string]string{}, shares: map[corev1.PodQOSClass]map[types.UID]int64{}}
	if t.root == "/" {
		return nil, errors.New("cgroup root is empty")
	}
	v2 := t.read(f)
	if len(t.v1) == 0 {
		if v2 == "" {
			return nil, errors.New("no cgroup hierarchy is mounted")
		}
		t.unified = v2
	}
	return t, nil
}

// controllers are those that a pod's limits need, and others that a hierarchy is known by.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls", "net_prio", "perf_event", "systemd"}

// read notes the mount points of one mountinfo and returns that of v2.
func (t *Tree) read(r io.Reader) (v2 string) {
	seen := map[string]bool{} // devices: a hierarchy may be mounted twice
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		left, right, ok := strings.Cut(sc.Text(), " - ")
		l, f := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(f) < 3 {
			continue
		}
		if (f[0] == "cgroup" || f[0] == "cgroup2") && !seen[l[2]] {
			seen[l[2]] = true
			t.points = append(t.points, l[4])
		}
		switch f[0] {
		case "cgroup2":
			if v2 == "" {
				v2 = l[4]
			}
		case "cgroup":
			for _, o := range strings.Split(f[2], ",") {
				o = strings.TrimPrefix(o, "name=")
				if slices.Contains(controllers, o) && t.v1[o] == "" {
					t.v1[o] = l[4]
				}
			}
		}
	}
	return v2
}

// Path is the cgroup path of the pod, to be given to the runtime as the parent of its containers.
func (t *Tree) Path(uid types.UID, class corev1.PodQOSClass) string {
	return filepath.Join(t.class(class), "pod"+string(uid))
}

func (t *Tree) class(c corev1.PodQOSClass) string {
	if c == corev1.PodQOSGuaranteed || c == "" {
		return t.root
	}
	return filepath.Join(t.root, strings.ToLower(string(c)))
}

// Limits are what a pod may use; 0 is no limit.
type Limits struct {
	MilliCPU int64 `json:"milliCPU,omitempty"` // request
	Quota    int64 `json:"quota,omitempty"`    // microseconds of CPU each 100 ms
	Memory   int64 `json:"memory,omitempty"`   // bytes
	Pids     int64 `json:"pids,omitempty"`     // processes and threads
}

// Part is a kind of limits that is changed on its own.
type Part int

// The parts of Limits.
const (
	CPU Part = 1 << iota
	Memory
	Pids
	all = CPU | Memory | Pids
)

// Set makes the pod's cgroup with these limits. It is safe to repeat.
func (t *Tree) Set(uid types.UID, class corev1.PodQOSClass, l Limits) error {
	return t.Change(uid, class, l, all)
}

// Change is Set of some limits only.
func (t *Tree) Change(uid types.UID, class corev1.PodQOSClass, l Limits, parts Part) error {
	path := t.Path(uid, class)
	if parts&CPU != 0 {
		if err := t.weigh(uid, class, l.MilliCPU); err != nil {
			return err
		}
	}
	if t.unified != "" {
		return t.setV2(path, l, parts)
	}
	return t.setV1(path, l, parts)
}

func (t *Tree) setV1(path string, l Limits, parts Part) error {
	type write struct{ controller, file, value string }
	quota := l.Quota
	if quota == 0 {
		quota = -1
	}
	var writes []write
	if parts&CPU != 0 {
		writes = append(writes, write{"cpu", "cpu.shares", strconv.FormatInt(Shares(l.MilliCPU), 10)}, write{"cpu", "cpu.cfs_quota_us", strconv.FormatInt(quota, 10)})
	}
	if parts&Memory != 0 && l.Memory > 0 {
		writes = append(writes, write{"memory", "memory.limit_in_bytes", strconv.FormatInt(l.Memory, 10)})
	}
	if parts&Pids != 0 && l.Pids > 0 {
		writes = append(writes, write{"pids", "pids.max", strconv.FormatInt(l.Pids, 10)})
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if mount := t.v1[c]; mount != "" && (c != "pids" || l.Pids > 0) {
			if err := os.MkdirAll(filepath.Join(mount, path), 0o755); err != nil {
				return err
			}
		}
	}
	for _, w := range writes {
		if err := t.writeV1(w.controller, path, w.file, w.value); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) writeV1(controller, path, file, value string) error {
	mount := t.v1[controller]
	if mount == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(mount, path, file), []byte(value), 0o644); err != nil {
		return fmt.Errorf("cgroup %s: %w", path, err)
	}
	return nil
}

func (t *Tree) setV2(path string, l Limits, parts Part) error {
	if err := t.enable(path); err != nil {
		return err
	}
	dir := filepath.Join(t.unified, path)
	for file, v := range valuesV2(l, parts) {
		err := os.WriteFile(filepath.Join(dir, file), []byte(v), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cgroup %s: %w", path, err)
		}
	}
	return nil
}

func valuesV2(l Limits, parts Part) map[string]string {
	values := map[string]string{}
	orMax := func(file string, v int64) {
		values[file] = "max"
		if v > 0 {
			values[file] = strconv.FormatInt(v, 10)
		}
	}
	if parts&CPU != 0 {
		values["cpu.weight"], values["cpu.max"] = strconv.FormatInt(Weight(Shares(l.MilliCPU)), 10), "max"
		if l.Quota > 0 {
			values["cpu.max"] = fmt.Sprintf("%d %d", l.Quota, Period)
		}
	}
	if parts&Memory != 0 {
		orMax("memory.max", l.Memory)
	}
	if parts&Pids != 0 {
		orMax("pids.max", l.Pids)
	}
	return values
}

// enable makes the v2 directories down to path and hands the controllers on from each to the next.
func (t *Tree) enable(path string) error {
	dir := t.unified
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, c := range strings.Fields(string(have)) {
			// A controller that a process in the root's own cgroup blocks stays off; the limit's file is then absent.
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644)
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// weigh gives the class the CPU weight of all its pods' requests.
func (t *Tree) weigh(uid types.UID, class corev1.PodQOSClass, milli int64) error {
	if class == corev1.PodQOSGuaranteed || class == "" {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shares[class] == nil {
		t.shares[class] = map[types.UID]int64{}
	}
	if old, ok := t.shares[class][uid]; ok && old == milli {
		return nil
	}
	t.shares[class][uid] = milli
	return t.writeClass(class)
}

func (t *Tree) writeClass(class corev1.PodQOSClass) error {
	sum := int64(0)
	for v := range maps.Values(t.shares[class]) {
		sum += v
	}
	path := t.class(class)
	if t.unified != "" {
		return t.setV2(path, Limits{MilliCPU: sum}, all)
	}
	return t.setV1(path, Limits{MilliCPU: sum}, all)
}

// Remove removes the pod's cgroup from every class and hierarchy. It fails with EBUSY while processes are in it.
func (t *Tree) Remove(uid types.UID) error {
	var errs []error
	for _, class := range []corev1.PodQOSClass{corev1.PodQOSGuaranteed, corev1.PodQOSBurstable, corev1.PodQOSBestEffort} {
		t.mu.Lock()
		if _, ok := t.shares[class][uid]; ok {
			delete(t.shares[class], uid)
			errs = append(errs, t.writeClass(class))
		}
		t.mu.Unlock()
		errs = append(errs, t.removeAll(t.Path(uid, class)))
	}
	return errors.Join(errs...)
}

// RemoveRoot removes the cgroups of all pods and the root itself: for an owner that takes the node down.
func (t *Tree) RemoveRoot() error { return t.removeAll(t.root) }

func (t *Tree) removeAll(path string) error {
	var errs []error
	for _, mount := range t.points {
		errs = append(errs, removeTree(filepath.Join(mount, path)))
	}
	return errors.Join(errs...)
}

// removeTree removes a cgroup directory and those below it, deepest first.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, d := range slices.Backward(dirs) {
		if e := os.Remove(d); e != nil && !errors.Is(e, fs.ErrNotExist) {
			killAll(d)
			err = errors.Join(err, e)
		}
	}
	return err
}

// killAll kills what still lives in the cgroup of a pod that is gone, as upstream's kubelet does: a process of a container
// whose making was cut off has nobody else to end it. The removal is tried again by the caller.
func killAll(dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return // it went meanwhile
	}
	for _, field := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// Period is the CPU bandwidth period in microseconds.
const Period = 100_000

// Shares converts a CPU request to cgroup v1 shares.
func Shares(milli int64) int64 { return min(max(milli*1024/1000, 2), 262144) }

// Quota converts a CPU limit to microseconds a period; 0 is none.
func Quota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*Period/1000, 1000)
}

// Weight converts shares to a cgroup v2 weight, 2..262144 to 1..10000.
func Weight(shares int64) int64 { return 1 + (shares-2)*9999/262142 }
