package store

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestDiskIsAskedNowAndThen(t *testing.T) {
	asked, free := 0, uint64(1<<40)
	d := newDisk("/data")
	d.statfs = func(_ string, st *unix.Statfs_t) error {
		asked++
		st.Bsize, st.Blocks, st.Bavail = 1, 1<<40, free
		return nil
	}
	now := time.Unix(100, 0)
	for range 3 {
		if err := d.room(now); err != nil {
			t.Fatal(err)
		}
	}
	if free = reserve - 1; d.room(now) != nil || asked != 1 {
		t.Errorf("asked %d times in one moment", asked)
	}
	err := d.room(now.Add(lookEvery))
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "/data has 31 MiB left, and 32 MiB are kept free") {
		t.Errorf("nearly full: %v", err)
	}
	d.statfs = func(string, *unix.Statfs_t) error { return unix.EIO }
	if err := d.room(now.Add(2 * lookEvery)); err != nil {
		t.Errorf("not to be asked: %v", err)
	}
	if err := (*disk)(nil).room(now); err != nil {
		t.Errorf("etcd elsewhere: %v", err)
	}
}

// TestFullDisk fills a real one: writes are refused, reads and deletes go on, and with space again writes do.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("full", dir, "tmpfs", 0, "size=128m"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s, err := Open(t.Context(), Config{Dir: filepath.Join(dir, "store"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, key := range []string{"/registry/a", "/registry/b"} {
		if _, err := s.Create(t.Context(), key, []byte("v"), 0); err != nil {
			t.Fatal(err)
		}
	}
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	wait := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !done(); <-time.After(lookEvery) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	wait("a write was not refused", func() bool {
		_, err := s.Create(t.Context(), "/registry/c", []byte("v"), 0)
		return errors.Is(err, ErrNoSpace)
	})
	if kv, found, _, err := s.Get(t.Context(), "/registry/a"); err != nil || !found || string(kv.Value) != "v" {
		t.Errorf("read: %q %v %v", kv.Value, found, err)
	}
	if _, err := s.Delete(t.Context(), "/registry/b", AnyRevision); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait("writes did not go on", func() bool {
		_, err := s.Update(t.Context(), "/registry/a", []byte("w"), AnyRevision, 0)
		return err == nil
	})
}

// fill leaves 8 MiB of the disk.
func fill(t *testing.T, path string) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-8<<20); err != nil {
		t.Fatal(err)
	}
}
