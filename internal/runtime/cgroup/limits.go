package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// Limits bound a cgroup. A zero field is not written.
type Limits struct {
	CPUShares    uint64
	CPUQuota     int64 // microseconds in each period; -1: no limit
	CPUPeriod    uint64
	Memory       int64 // bytes; -1: no limit
	CPUs, Mems   string
	Unified      map[string]string // v2 files and their text
	HugepageSize map[string]uint64 // page size ("2MB") to bytes
}

// setting is one file of one controller.
type setting struct{ controller, file, value string }

// Set writes l to the cgroup.
func (t *Tree) Set(path string, l Limits) error {
	settings, err := t.settings(l)
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", path, err)
	}
	for _, s := range settings {
		if !t.V2() && t.v1[s.controller] == "" {
			return fmt.Errorf("cgroup %s: set %s: controller %s is not mounted on this node", path, s.file, s.controller)
		}
		if err := t.makeFor(s.controller, path); err != nil {
			return fmt.Errorf("cgroup %s: %w", path, err)
		}
		file := filepath.Join(t.dir(s.controller, path), s.file)
		if err := write(file, s.value); err != nil {
			return fmt.Errorf("cgroup %s: set %s to %s: %w", path, s.file, s.value, err)
		}
	}
	return nil
}

// write writes without creating: a file that is missing is an error, not a new file.
func write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func (t *Tree) settings(l Limits) ([]setting, error) {
	var s []setting
	if t.V2() {
		s = v2Settings(l)
	} else {
		if len(l.Unified) > 0 {
			return nil, errors.New("unified resources need cgroup v2, and this node runs v1")
		}
		s = v1Settings(l)
	}
	for size, limit := range l.HugepageSize {
		if !t.Has("hugetlb") {
			if limit == 0 {
				continue
			}
			return nil, fmt.Errorf("huge pages of %s are limited to %d bytes, but this node has no hugetlb controller", size, limit)
		}
		file := "hugetlb." + size + ".limit_in_bytes"
		if t.V2() {
			file = "hugetlb." + size + ".max"
		}
		s = append(s, setting{"hugetlb", file, strconv.FormatUint(limit, 10)})
	}
	return s, nil
}

func v1Settings(l Limits) []setting {
	var s []setting
	add := func(on bool, controller, file, value string) {
		if on {
			s = append(s, setting{controller, file, value})
		}
	}
	add(l.CPUShares != 0, "cpu", "cpu.shares", strconv.FormatUint(l.CPUShares, 10))
	add(l.CPUPeriod != 0, "cpu", "cpu.cfs_period_us", strconv.FormatUint(l.CPUPeriod, 10))
	add(l.CPUQuota != 0, "cpu", "cpu.cfs_quota_us", strconv.FormatInt(l.CPUQuota, 10))
	add(l.Memory != 0, "memory", "memory.limit_in_bytes", strconv.FormatInt(l.Memory, 10))
	add(l.CPUs != "", "cpuset", "cpuset.cpus", l.CPUs)
	add(l.Mems != "", "cpuset", "cpuset.mems", l.Mems)
	return s
}

func v2Settings(l Limits) []setting {
	var s []setting
	add := func(on bool, controller, file, value string) {
		if on {
			s = append(s, setting{controller, file, value})
		}
	}
	add(l.CPUShares != 0, "cpu", "cpu.weight", strconv.FormatUint(Weight(l.CPUShares), 10))
	add(l.CPUQuota != 0 || l.CPUPeriod != 0, "cpu", "cpu.max", cpuMax(l))
	add(l.Memory != 0, "memory", "memory.max", maxOr(l.Memory))
	add(l.CPUs != "", "cpuset", "cpuset.cpus", l.CPUs)
	add(l.Mems != "", "cpuset", "cpuset.mems", l.Mems)
	for file, value := range l.Unified {
		s = append(s, setting{"", file, value})
	}
	return s
}

func cpuMax(l Limits) string {
	period := l.CPUPeriod
	if period == 0 {
		period = 100000
	}
	quota := "max"
	if l.CPUQuota > 0 {
		quota = strconv.FormatInt(l.CPUQuota, 10)
	}
	return quota + " " + strconv.FormatUint(period, 10)
}

func maxOr(v int64) string {
	if v < 0 {
		return "max"
	}
	return strconv.FormatInt(v, 10)
}

// Weight turns v1 shares (2 to 262144, 1024 is one processor) into a v2 weight (1 to 10000): the quadratic curve
// through (2, 1), (1024, 100) and (262144, 10000) on logarithmic axes, which runc and kubelet use too.
func Weight(shares uint64) uint64 {
	switch {
	case shares == 0:
		return 0
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// missing reports whether err says that a cgroup or one of its files is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
