package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// MemoryUsage is how many bytes are charged to the pod now, page cache included.
func (t *Tree) MemoryUsage(uid types.UID, class corev1.PodQOSClass) (int64, error) {
	mount, file := t.v1["memory"], "memory.usage_in_bytes"
	if t.unified != "" {
		mount, file = t.unified, "memory.current"
	}
	if mount == "" {
		return 0, fmt.Errorf("memory usage of pod %s: the memory controller is not mounted", uid)
	}
	raw, err := os.ReadFile(filepath.Join(mount, t.Path(uid, class), file))
	if err != nil {
		return 0, fmt.Errorf("memory usage of pod %s: %w", uid, err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
}

// Millis converts shares back to millicores, rounded up; below the kernel's least it is 0.
func Millis(shares int64) int64 {
	if shares < 2 {
		return 0
	}
	return (shares*1000 + 1023) / 1024
}

// QuotaMillis converts a quota each period (microseconds) back to millicores.
func QuotaMillis(quota, period int64) int64 {
	if quota <= 0 || period <= 0 {
		return 0
	}
	return quota * 1000 / period
}
