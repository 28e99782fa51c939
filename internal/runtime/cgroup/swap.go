package cgroup

import (
	"os"
	"path/filepath"
)

// CountsSwap reports whether the memory controller can limit swap.
func (t *Tree) CountsSwap() bool {
	if t.V2() {
		_, err := os.Stat("/proc/swaps")
		return err == nil
	}
	_, err := os.Stat(filepath.Join(t.v1["memory"], "memory.memsw.limit_in_bytes"))
	return err == nil
}
