package kubelet

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
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
