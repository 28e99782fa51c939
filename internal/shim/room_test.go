package shim

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func mountsOn(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), " "+dir+" ")
}

// TestRoomIsMadeOnce: however many come at the same time, they meet in one room, and nothing of it stays.
func TestRoomIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if err := enterRoom(dir); err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	if !inMemory(dir) || mountsOn(t, dir) > 1 {
		t.Errorf("in memory: %t, %d mounts", inMemory(dir), mountsOn(t, dir))
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := enterRoom(dir); err != nil || mountsOn(t, dir) > 1 {
		t.Errorf("again: %v", err)
	}
	for range 2 {
		if err := leaveRoom(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) || mountsOn(t, dir) > 0 {
		t.Errorf("left: %v, %d mounts", err, mountsOn(t, dir))
	}
}

// TestRoomOfOthersIsLeft: a directory with files is where a shim lives that was started before.
func TestRoomOfOthersIsLeft(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := enterRoom(dir); err != nil || mountsOn(t, dir) > 0 {
		t.Errorf("%v, %d mounts", err, mountsOn(t, dir))
	}
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		t.Error(err)
	}
}
