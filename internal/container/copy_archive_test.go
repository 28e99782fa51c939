package container

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
)

func sysOf(st os.FileInfo) *syscall.Stat_t {
	s, _ := st.Sys().(*syscall.Stat_t)
	return s
}

// archiveOf packs files in their order; "-> target" is a link.
func archiveOf(t *testing.T, files [][2]string) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}
		target, link := strings.CutPrefix(f[1], "-> ")
		if link {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}
