// Package hierarchy finds the directories of a cgroup in the mounted hierarchies, v1, v2 or both, and removes them.
//
// The shim and its client use it. It holds no state.
package hierarchy

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dirs returns the directories that a cgroup path has in every mounted hierarchy, by its controllers ("" for v2).
func Dirs(path string) map[string]string {
	dirs := map[string]string{}
	for controllers, mount := range mounts() {
		dirs[controllers] = filepath.Join(mount, path)
	}
	return dirs
}

// mounts reads the mounted hierarchies: the v1 ones by their options, v2 as "".
func mounts() map[string]string {
	found := map[string]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return found
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
			found[""] = l[4]
		case "cgroup":
			found[strings.TrimPrefix(r[2], "rw,")] = l[4]
		}
	}
	return found
}

// Each calls f with dir and every cgroup below it. One that has none below is not listed, which costs ten times as much as
// to see it by its count of links: two, and one for each below.
func Each(dir string, f func(dir string)) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return // gone meanwhile
	}
	f(dir)
	if st.Nlink == 2 {
		return
	}
	entries, _ := os.ReadDir(dir) // gone meanwhile
	for _, e := range entries {
		if e.IsDir() {
			Each(filepath.Join(dir, e.Name()), f)
		}
	}
}
