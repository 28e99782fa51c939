package upstream

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Where containerd's shims listen and CNI remembers its results, whatever the directories that containerd is told.
const (
	shimSockets = "/run/containerd/s"
	cniResults  = "/var/lib/cni/results"
)

// wipeTraces removes what the programs of this cluster leave outside of its directory: sockets that nobody listens at
// any more, and CNI's results for network namespaces below the directory. Those of others stay.
func (c *Cluster) wipeTraces() error {
	return errors.Join(
		wipe(shimSockets, func(path string) bool {
			conn, err := net.Dial("unix", path)
			if err == nil {
				_ = conn.Close() // it was only to see
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		}),
		wipe(cniResults, func(path string) bool {
			b, err := os.ReadFile(path)
			return err == nil && bytes.Contains(b, []byte(`"`+c.Dir+`/`))
		}))
}

// wipe removes the files of a folder that are of the kind.
func wipe(dir string, of func(path string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); of(path) {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
