package container

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Names by which layers of images say what they delete.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// PackLayer writes what a container wrote, the overlay's upper directory, as a layer of an image. Of one that runs, each
// file is as it was when it was read, and one that shrinks meanwhile is an error.
func PackLayer(ctx context.Context, w io.Writer, upper string) error {
	t := tar.NewWriter(w)
	p := &packer{w: t, names: map[inode]string{}, attributes: true}
	err := walkLayer(ctx, upper, func(root *os.Root, name string, st fs.FileInfo) error {
		p.root = root
		if isWhiteout(st) {
			return t.WriteHeader(&tar.Header{Name: path.Join(path.Dir(name), whiteoutPrefix+path.Base(name)), Typeflag: tar.TypeReg, ModTime: st.ModTime()})
		}
		if strings.HasPrefix(path.Base(name), whiteoutPrefix) {
			return fmt.Errorf("/%s cannot be in an image: names that begin with %s say there what is deleted", name, whiteoutPrefix)
		}
		err := p.entry(ctx, name, name)
		if err == nil && st.IsDir() && isOpaque(upper, name) {
			err = t.WriteHeader(&tar.Header{Name: path.Join(name, opaqueName), Typeflag: tar.TypeReg, ModTime: st.ModTime()})
		}
		return err
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// keepAttributes puts a file's extended attributes into its header, capabilities among them; not those of the overlay.
func keepAttributes(f *os.File, h *tar.Header) error {
	names := make([]byte, 64<<10) // the kernel's own bound
	n, err := unix.Flistxattr(int(f.Fd()), names)
	if err == unix.ENOTSUP {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: attributes: %w", h.Name, err)
	}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "system.") || name == "security.selinux" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if err != nil {
			return fmt.Errorf("%s: attribute %s: %w", h.Name, name, err)
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = string(value[:n])
	}
	return nil
}
