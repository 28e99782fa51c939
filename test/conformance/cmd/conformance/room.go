package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What a run needs of the disk: for a cluster and its images, and for programs that are not built yet, most of it in Go's
// build cache. A node takes no pods where less than imageLeft of the disk is left.
const (
	gib       = 1 << 30
	forRun    = 2 * gib
	forBuild  = 6 * gib
	imageLeft = 0.16
)

// room refuses to start where the disk is too small: a build that breaks off, or a cluster whose pods wait for ever, says
// less.
func (o options) room() error {
	need := map[string]int64{o.cache: forRun}
	if _, err := os.Stat(filepath.Join(o.cache, "bin", "e2e.test.stamp")); err != nil {
		out, err := exec.Command("go", "env", "GOCACHE").Output()
		if err != nil {
			return fmt.Errorf("go env GOCACHE: %w", err)
		}
		need[o.cache] += gib
		need[strings.TrimSpace(string(out))] += forBuild
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return err
	}
	for dir, bytes := range need {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return fmt.Errorf("free space of %s: %w", dir, err)
		}
		if err := enough(dir, int64(fs.Bavail)*fs.Bsize, int64(fs.Blocks-fs.Bfree)*fs.Bsize, bytes, dir == o.cache); err != nil {
			return err
		}
	}
	return nil
}

// enough judges a disk by what is free and used on it; node says that a cluster will live there.
func enough(dir string, free, used, need int64, node bool) error {
	switch {
	case free < need:
		return fmt.Errorf("%s: the disk has %.1f GiB left, and %.1f are needed; make room, or name another disk with XDG_CACHE_HOME (Go's caches: GOCACHE)",
			dir, float64(free)/gib, float64(need)/gib)
	case node && float64(free) < imageLeft*float64(free+used):
		return fmt.Errorf("%s: %.0f %% of the disk are left, and a node takes no pods on one with less than 15; make room, or name another disk with XDG_CACHE_HOME",
			dir, 100*float64(free)/float64(free+used))
	}
	return nil
}
