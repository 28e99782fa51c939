package pki

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeFile replaces path by data in one step: a crash leaves the old content or the new one, never a part. The
// caller syncs the directory when the name itself must survive.
func writeFile(path string, mode os.FileMode, data ...[]byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	for _, d := range data {
		if _, err = f.Write(d); err != nil {
			f.Close()
			return err
		}
	}
	if err = f.Chmod(mode); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncDir makes the names in dir survive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// removeLeftovers deletes the temporary files that a crash in writeFile may have left.
func removeLeftovers(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".*.*"))
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("remove leftover: %w", err)
		}
	}
	return nil
}
