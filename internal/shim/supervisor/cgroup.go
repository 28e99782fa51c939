package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupDirs returns the directories that a cgroup path has in every mounted hierarchy, by its controllers ("" for v2).
func cgroupDirs(path string) map[string]string {
	dirs := map[string]string{}
	for controllers, mount := range cgroupMounts() {
		dirs[controllers] = filepath.Join(mount, path)
	}
	return dirs
}

// cgroupMounts reads the mounted hierarchies: the v1 ones by their options, v2 as "".
func cgroupMounts() map[string]string {
	mounts := map[string]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mounts
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		left, right, ok := strings.Cut(sc.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		switch r[0] {
		case "cgroup2":
			mounts[""] = l[4]
		case "cgroup":
			mounts[strings.TrimPrefix(r[2], "rw,")] = l[4]
		}
	}
	return mounts
}

// cgroupPids lists the processes of the cgroups and those below.
func cgroupPids(dirs map[string]string) []int {
	seen := map[int]bool{}
	var pids []int
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil // gone meanwhile
			}
			b, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 && !seen[pid] {
					seen[pid] = true
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// signalCgroup signals every process of the cgroups, SIGKILL at one stroke where the kernel can.
func signalCgroup(dirs map[string]string, sig syscall.Signal) error {
	if v2, ok := dirs[""]; ok && sig == syscall.SIGKILL {
		if os.WriteFile(filepath.Join(v2, "cgroup.kill"), []byte("1"), 0) == nil && len(dirs) == 1 {
			return nil
		}
	}
	var errs []error
	for _, pid := range cgroupPids(dirs) {
		if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
			errs = append(errs, fmt.Errorf("signal %d to pid %d: %w", sig, pid, err))
		}
	}
	return errors.Join(errs...)
}

// removeCgroups removes the (empty) cgroups and what the container may have made below them.
func removeCgroups(dirs map[string]string) error {
	var errs []error
	for _, dir := range dirs {
		if err := removeCgroup(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func removeCgroup(dir string) error {
	deadline := time.Now().Add(5 * time.Second)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := unix.Rmdir(dir)
		switch {
		case err == nil || err == unix.ENOENT:
			return nil
		case err != unix.EBUSY && err != unix.ENOTEMPTY && err != unix.EINTR:
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() {
				if err := removeCgroup(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		// A killed process leaves its cgroup a moment after it has died, and nothing tells when.
		time.Sleep(pause)
	}
}

// counter returns a field of a flat-keyed cgroup file, 0 if it is not there.
func counter(path, key string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == key {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}
