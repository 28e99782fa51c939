package volume

import (
	"io/fs"
	"os"
	"path/filepath"
)

// chownAll gives everything under dir to group gid (nil: nothing to do): group members may do what the owner may, and
// directories pass the group on. readOnly leaves out the write permission.
func chownAll(dir string, gid *int64, readOnly bool) error {
	if gid == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, int(*gid)); err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		add := fs.FileMode(0o660)
		if readOnly {
			add = 0o440
		}
		if d.IsDir() {
			add |= 0o110 | fs.ModeSetgid
		}
		return os.Chmod(path, st.Mode()|add)
	})
}
