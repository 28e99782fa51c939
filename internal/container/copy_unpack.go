package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// unpacker writes an archive into a directory that nothing leads out of.
type unpacker struct {
	root *os.Root
	o    CopyOptions
	dirs []*tar.Header // their times are set last, since filling a directory moves its time
}

// Unpack writes the tar archive r into the directory dir.
func Unpack(ctx context.Context, r io.Reader, to *Tree, dir string, o CopyOptions) error {
	root, err := to.enter(dir)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dir, unwrapPath(err))
	}
	defer root.Close()
	u := &unpacker{root: root, o: o}
	for archive := tar.NewReader(reading(ctx, r)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return u.end()
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, archive); err != nil {
			return fmt.Errorf("copy to %s: %w", path.Join(dir, h.Name), unwrapPath(err))
		}
	}
}

func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	name := path.Clean(strings.TrimLeft(h.Name, "/"))
	if name == ".." || strings.HasPrefix(name, "../") {
		return errors.New("the name leads out of the directory")
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if h.Typeflag == tar.TypeDir {
		return u.dir(name, h)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	st, err := u.root.Lstat(name)
	if err == nil && st.IsDir() {
		return errors.New("a directory is there, and the source is none")
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		err = u.file(name, h, body)
	case tar.TypeSymlink:
		err = u.anew(name, func() error { return u.root.Symlink(h.Linkname, name) })
	case tar.TypeLink:
		return u.anew(name, func() error { return u.root.Link(path.Clean(strings.TrimLeft(h.Linkname, "/")), name) })
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		err = u.anew(name, func() error { return u.node(name, h) })
	default:
		return fmt.Errorf("entries of type %q are not understood", h.Typeflag)
	}
	if err != nil || h.Typeflag == tar.TypeSymlink && !u.o.Owners {
		return err
	}
	return u.dress(name, h)
}

// anew makes what is not a file in the place of what is there.
func (u *unpacker) anew(name string, make func() error) error {
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return make()
}

// dir makes a directory. One that is there keeps its looks, unless owners are wanted as in the source.
func (u *unpacker) dir(name string, h *tar.Header) error {
	st, err := u.root.Stat(name)
	if err == nil && st.IsDir() && !u.o.Owners {
		return nil
	}
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	own := *h
	own.Name = name
	u.dirs = append(u.dirs, &own)
	return nil
}

// file writes a new file, which takes the place of an old one. What cannot be removed, as a file that is a mount, is written
// into.
func (u *unpacker) file(name string, h *tar.Header, body io.Reader) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if err := u.root.Remove(name); errors.Is(err, unix.EBUSY) {
		flags = os.O_WRONLY | os.O_TRUNC
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := u.root.OpenFile(name, flags, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

func (u *unpacker) node(name string, h *tar.Header) error {
	dir, err := u.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	return unix.Mknodat(int(dir.Fd()), path.Base(name), kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}

// dress gives owner, mode and time, the mode after the owner, whose change takes setuid away.
func (u *unpacker) dress(name string, h *tar.Header) error {
	if u.o.Owners {
		if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := u.root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// end gives directories their looks, the deepest first.
func (u *unpacker) end() error {
	for i := len(u.dirs) - 1; i >= 0; i-- {
		if err := u.dress(u.dirs[i].Name, u.dirs[i]); err != nil {
			return err
		}
	}
	return nil
}
