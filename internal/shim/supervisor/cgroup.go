package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim/hierarchy"
	"minato.dev/minato/internal/shim/jail"
)

// bound says whether the end of init, which is that of its pid namespace, ends every process of the container: it has such a
// namespace of its own. Looking for them in each hierarchy takes longer than to end them.
func bound(spec *jail.Bundle) bool {
	return slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.PIDNamespace && n.Path == "" })
}

// cgroupPids lists the processes of the cgroups and those below.
func cgroupPids(dirs map[string]string) []int {
	seen := map[int]bool{}
	var pids []int
	for _, dir := range dirs {
		hierarchy.Each(dir, func(dir string) {
			b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")) // gone meanwhile
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 && !seen[pid] {
					seen[pid] = true
					pids = append(pids, pid)
				}
			}
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
		if err := hierarchy.Remove(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
