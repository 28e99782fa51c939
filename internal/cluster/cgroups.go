package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mount is one line of /proc/self/mountinfo.
type mount struct{ point, fstype string }

func mounts() (out []mount, err error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 1 {
			continue
		}
		out = append(out, mount{unescape(f[4]), g[0]})
	}
	return out, nil
}

// unescape undoes the octal escapes of mountinfo (space is \040).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unmountUnder takes away every mount at or below dir, the newest first.
func unmountUnder(dir string) error {
	return unmount(func(p string) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}

// unmountOurs takes away what a cluster mounts in its data directory: the volumes of pods, and what builds work on. A disk
// that the user has put in the place of the directory, or of one below it, is not ours and stays.
func unmountOurs(data string) error {
	return unmount(func(p string) bool {
		return strings.HasPrefix(p, filepath.Join(data, "kubelet", "pods")+"/") || strings.HasPrefix(p, filepath.Join(data, "build")+"/") ||
			strings.HasPrefix(p+"/", Paths{Data: data}.otherKubelet()+"/")
	})
}

// unmount takes away the chosen mounts, the newest first.
func unmount(chosen func(point string) bool) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	var errs []error
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i].point
		if !chosen(p) {
			continue
		}
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// cgroupDirs are the directories of one cgroup in every hierarchy that has it.
func cgroupDirs(path string) (out []string, err error) {
	all, err := mounts()
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.fstype != "cgroup" && m.fstype != "cgroup2" {
			continue
		}
		dir := filepath.Join(m.point, path)
		if _, err := os.Stat(dir); err == nil {
			out = append(out, dir)
		}
	}
	return out, nil
}

// killCgroups ends every process in the cgroup and below: TERM first, KILL once patience has run out.
func killCgroups(ctx context.Context, path string, patience time.Duration) error {
	dirs, err := cgroupDirs(path)
	if err != nil {
		return err
	}
	for _, try := range []struct {
		sig  unix.Signal
		wait time.Duration
	}{{unix.SIGTERM, patience}, {unix.SIGKILL, 5 * time.Second}} {
		fds, err := signalAll(dirs, try.sig)
		if err != nil {
			return err
		}
		deadline := time.Now().Add(try.wait)
		var waitErr error
		for _, fd := range fds {
			if _, err := waitPidfd(ctx, fd, time.Until(deadline)); err != nil {
				waitErr = err
			}
			unix.Close(fd)
		}
		if waitErr != nil {
			return waitErr
		}
	}
	return nil
}

// signalAll signals all processes below dirs and returns a pidfd of each.
func signalAll(dirs []string, sig unix.Signal) (fds []int, err error) {
	pids, err := processes(dirs)
	if err != nil {
		return nil, err
	}
	for pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil { // gone already
			continue
		}
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
			unix.Close(fd)
			continue
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func processes(dirs []string) (map[int]bool, error) {
	pids := map[int]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !d.IsDir() {
				return err
			}
			return readPids(filepath.Join(path, "cgroup.procs"), pids)
		})
		if err != nil {
			return nil, err
		}
	}
	return pids, nil
}

func readPids(file string, into map[int]bool) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if pid, err := strconv.Atoi(s.Text()); err == nil && pid > 0 {
			into[pid] = true
		}
	}
	return nil
}

// removeCgroups removes a cgroup and all below it in every hierarchy. Processes that just ended may hold one a moment.
func removeCgroups(path string) error {
	dirs, err := cgroupDirs(path)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeTree(dir))
	}
	return errors.Join(errs...)
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
	for deadline, pause := time.Now().Add(3*time.Second), time.Millisecond; ; pause *= 2 {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		<-time.After(pause)
	}
}
