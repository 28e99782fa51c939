package jail

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato.dev/minato/internal/shim/hierarchy"
)

// lent are the hierarchies of version 1 in which a container has no cgroup of its own until it has a limit of its own there:
// its processes are in the nearest one above, as a rule the pod's, and obey its limits. One of cpuset takes the kernel 11 KB,
// one of pids 8.
var lent = []string{"cpuset", "pids"}

// Above finds, by controller, the cgroups that the processes of the container with this path join beside own, its own ones.
func Above(path string, own map[string]string) map[string]string {
	out := map[string]string{}
	for controllers, dir := range hierarchy.Dirs(path) {
		if slices.Contains(slices.Collect(maps.Values(own)), dir) {
			continue
		}
		for c := range strings.SplitSeq(controllers, ",") {
			if !slices.Contains(lent, c) {
				continue
			}
			if at := nearest(dir, path); at != "" {
				out[c] = at
			}
		}
	}
	return out
}

// Lacks are the controllers for whose limits in r the container must have cgroups of its own first, where own are those that
// it has.
func Lacks(own map[string]string, r *specs.LinuxResources) (out []string) {
	if own[""] != "" || r == nil { // version 2 has one for all
		return nil
	}
	if r.CPU != nil && r.CPU.Cpus+r.CPU.Mems != "" && own["cpuset"] == "" {
		out = append(out, "cpuset")
	}
	if r.Pids != nil && r.Pids.Limit != nil && own["pids"] == "" {
		out = append(out, "pids")
	}
	return out
}

// nearest is the first directory above that of path which takes processes; empty where none does.
func nearest(dir, path string) string {
	for range strings.Count(filepath.Clean(path), "/") {
		dir = filepath.Dir(dir)
		if takes(dir) {
			return dir
		}
	}
	return ""
}

// takes reports whether a process can join: a cpuset must have been given processors and memory.
func takes(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
		return false
	}
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		if b, err := os.ReadFile(filepath.Join(dir, f)); err == nil && strings.TrimSpace(string(b)) == "" {
			return false
		}
	}
	return true
}
