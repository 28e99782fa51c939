package container

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"minato.dev/minato/internal/shim/hierarchy"
)

// Processes are the ids, on this machine, of all that runs in the container.
func (e *Engine) Processes(c Container) []int {
	var pids []int
	for _, dir := range hierarchy.Dirs(filepath.Join(e.cgroup(c.Spec.Name), c.ID)) {
		hierarchy.Each(dir, func(dir string) {
			raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				return // gone meanwhile, or of threads
			}
			for f := range strings.FieldsSeq(string(raw)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}
