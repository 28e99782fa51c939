package hierarchy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"minato.dev/minato/internal/shim/hierarchy"
)

// A cgroup goes though the process in it was killed only just now, and takes what is below it along.
func TestRemoveWaitsForTheDead(t *testing.T) {
	path := fmt.Sprintf("/minato-hierarchytest-%d", os.Getpid())
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dirs := hierarchy.Dirs(path)
	for controllers, dir := range dirs {
		if strings.Contains(controllers, "cpuset") { // takes no process before it has CPUs
			continue
		}
		below := filepath.Join(dir, "below")
		if err := os.MkdirAll(below, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(below, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		var all []string
		hierarchy.Each(dir, func(dir string) { all = append(all, filepath.Base(dir)) })
		if len(all) > 0 && (len(all) != 2 || all[1] != "below") {
			t.Errorf("%s has %v", dir, all)
		}
		if err := hierarchy.Remove(dir); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	_ = cmd.Wait() // it was killed
}
