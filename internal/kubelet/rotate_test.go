package kubelet

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"minato.dev/minato/internal/kubelet/machine"
)

func TestTrimLogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	for i, name := range []string{"", ".20260101-000001.gz", ".20260101-000002.gz", ".20260101-000003.gz", ".20260101-000004", ".20260101-000003.tmp"} {
		if err := os.WriteFile(path+name, fmt.Append(nil, "file ", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := trimLogs(path); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) != maxLogFiles-1 {
		t.Errorf("left are %v", left)
	}
	f, err := os.Open(path + ".20260101-000004.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(z); err != nil || string(raw) != "file 4" {
		t.Errorf("compressed is %q, %v", raw, err)
	}
}

func TestPressure(t *testing.T) {
	m := machine.Info{Memory: 1 << 30, Disk: 100 << 30, Inodes: 1000}
	for name, c := range map[string]struct {
		free machine.Free
		want [3]bool
	}{
		"plenty":    {machine.Free{Memory: 1 << 29, Disk: 50 << 30, Inodes: 500, Pids: 30000}, [3]bool{}},
		"no memory": {machine.Free{Memory: 1 << 20, Disk: 50 << 30, Inodes: 500, Pids: 30000}, [3]bool{true, false, false}},
		"no disk":   {machine.Free{Memory: 1 << 29, Disk: 5 << 30, Inodes: 500, Pids: 30000}, [3]bool{false, true, false}},
		"no inodes": {machine.Free{Memory: 1 << 29, Disk: 50 << 30, Inodes: 5, Pids: 30000}, [3]bool{false, true, false}},
		"no pids":   {machine.Free{Memory: 1 << 29, Disk: 50 << 30, Inodes: 500, Pids: 10}, [3]bool{false, false, true}},
	} {
		memory, disk, pids := pressure(c.free, m)
		if got := [3]bool{memory, disk, pids}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
