// Package durable writes the small files by which a kubelet knows its pods again after a crash.
//
// What is remembered of pods, granted to them and reserved for them is written by it. Calls for different paths may be made at
// the same time. Tests give it temporary directories.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace makes the file hold data, readable by its owner alone: after kill -9 or a loss of power it is the old one or the new
// one, whole, and the new one where Replace has returned nil. The directory is not made: where it is missing, the error is
// fs.ErrNotExist.
func Replace(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
