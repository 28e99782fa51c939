package image

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

// ErrLayer is returned for a layer whose archive is broken or tries to reach out of its root.
var ErrLayer = errors.New("invalid layer")

const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // aufs's own bookkeeping
	opaqueXattr    = "trusted.overlay.opaque"
	paxXattr       = "SCHILY.xattr."
)

// untar writes one layer's archive into a directory that overlayfs can mount. All names are resolved by the kernel
// inside the root (openat2), so that neither ".." nor a symbolic link of the archive leads out of it.
type untar struct {
	unlooked int64 // bytes written since the disk was looked at
	root     *os.File
	buf      []byte

	parentName string // the parent directory opened last, of which most entries need the same again
	parent     int

	made    map[string]bool // directories and files that this layer has, for whiteouts that come in any order
	hidden  map[string]bool // whiteouts of this layer
	implied map[string]bool // directories that no entry described
	times   []dirTime       // set at the end, because filling a directory moves its time
	use     Usage
}

type dirTime struct {
	name string
	hdr  *tar.Header
}

// unpackTar reads the archive r into the existing, empty directory dir. It returns the directories that the archive
// has things in but does not describe, parents first, and what was written.
func unpackTar(ctx context.Context, dir string, r io.Reader) (implied []string, use Usage, err error) {
	root, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, Usage{}, err
	}
	defer root.Close()
	u := &untar{root: root, buf: make([]byte, 256<<10), parent: -1, made: map[string]bool{}, hidden: map[string]bool{},
		implied: map[string]bool{}}
	defer u.forgetParent()
	archive := tar.NewReader(until(ctx, r))
	for {
		hdr, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, Usage{}, layerError(ctx, "", err)
		}
		if err := u.entry(hdr, archive); err != nil {
			return nil, Usage{}, layerError(ctx, hdr.Name, err)
		}
	}
	if err := u.finish(); err != nil {
		return nil, Usage{}, err
	}
	return sortedKeys(u.implied), u.use, nil
}

// layerError marks a fault of the archive, but not our own end or a full disk.
func layerError(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, errTransfer) {
		return err
	}
	if name == "" {
		return fmt.Errorf("%w: %w", ErrLayer, err)
	}
	return fmt.Errorf("%w: entry %q: %w", ErrLayer, name, err)
}

// entry writes one entry.
func (u *untar) entry(hdr *tar.Header, body io.Reader) error {
	name, err := cleanName(hdr.Name)
	if err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if name == "." {
		if hdr.Typeflag != tar.TypeDir {
			return errors.New("the root is not a directory")
		}
		return u.describeDir(".", hdr)
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(dir, base)
	}
	parent, err := u.openParent(dir)
	if err != nil {
		return err
	}
	if err := u.clear(parent, name, base, hdr.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	u.made[name] = true
	if hdr.Typeflag == tar.TypeDir {
		return u.directory(parent, name, base, hdr)
	}
	if hdr.Typeflag == tar.TypeLink {
		return u.hardLink(parent, base, hdr.Linkname)
	}
	if hdr.Typeflag == tar.TypeReg || hdr.Typeflag == tar.TypeRegA || hdr.Typeflag == tar.TypeGNUSparse {
		return u.regular(parent, base, hdr, body)
	}
	return u.special(parent, base, hdr)
}

// cleanName makes an entry's name relative to the root. Absolute names mean the root; a name that climbs out of it is
// an attack or a bug, and refused.
func cleanName(n string) (string, error) {
	if strings.ContainsRune(n, 0) {
		return "", errors.New("the name has a zero byte")
	}
	c := path.Clean(strings.TrimLeft(n, "/"))
	if c == ".." || strings.HasPrefix(c, "../") {
		return "", errors.New("the name leads out of the layer")
	}
	return c, nil
}

// directory makes or describes one.
func (u *untar) directory(parent int, name, base string, hdr *tar.Header) error {
	err := unix.Mkdirat(parent, base, 0o700)
	if err == nil {
		u.use.add(0)
	} else if !errors.Is(err, unix.EEXIST) {
		return err
	}
	delete(u.implied, name)
	if err := u.describeDir(name, hdr); err != nil {
		return err
	}
	if u.hidden[name] { // the layer replaces a lower directory: nothing of that may show through
		return u.opaque(name)
	}
	return nil
}

// describeDir gives an existing directory its attributes.
func (u *untar) describeDir(name string, hdr *tar.Header) error {
	fd, err := u.openDir(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	u.times = append(u.times, dirTime{name, hdr})
	if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, modeOf(hdr)); err != nil {
		return err
	}
	return setXattrs(hdr, func(k string, v []byte) error { return unix.Fsetxattr(fd, k, v, 0) })
}

// openDir opens a directory of the layer for changing its attributes; it must not be a symbolic link.
func (u *untar) openDir(name string) (int, error) {
	return u.openat2(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
}

func (u *untar) openat2(name string, flags uint64) (int, error) {
	return openInRoot(int(u.root.Fd()), name, flags)
}

// openInRoot opens name as a process whose root is the open directory root would: no way leads out of it.
func openInRoot(root int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(root, name, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// openParent returns the directory for an entry, makes it where no entry did, and keeps it open for the next entry.
func (u *untar) openParent(dir string) (int, error) {
	if u.parent >= 0 && u.parentName == dir {
		return u.parent, nil
	}
	u.forgetParent()
	fd, err := u.openat2(dir, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		fd, err = u.makeParent(dir)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	u.parent, u.parentName = fd, dir
	return fd, nil
}

func (u *untar) makeParent(dir string) (int, error) {
	above, err := u.openParent(path.Dir(dir))
	if err != nil {
		return -1, err
	}
	if err := unix.Mkdirat(above, path.Base(dir), 0o755); err != nil {
		return -1, err
	}
	u.implied[dir], u.made[dir] = true, true
	u.use.add(0)
	u.forgetParent()
	return u.openat2(dir, unix.O_PATH|unix.O_DIRECTORY)
}

func (u *untar) forgetParent() {
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
	u.parent, u.parentName = -1, ""
}

// clear removes what an earlier entry of the same layer left under the name, its own whiteout too; a directory stays
// for a directory.
func (u *untar) clear(parent int, name, base string, keepDir bool) error {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.Unlinkat(parent, base, 0)
	}
	if keepDir {
		return nil
	}
	if err := os.RemoveAll(procPath(parent, base)); err != nil {
		return err
	}
	for n := range u.made {
		if strings.HasPrefix(n, name+"/") {
			delete(u.made, n)
		}
	}
	for n := range u.implied {
		if n == name || strings.HasPrefix(n, name+"/") {
			delete(u.implied, n)
		}
	}
	return nil
}

// whiteout notes that a lower layer's entry, or everything in a lower directory, is gone.
func (u *untar) whiteout(dir, base string) error {
	if base == whiteoutOpaque {
		if _, err := u.openParent(dir); err != nil {
			return err
		}
		return u.opaque(dir)
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil
	}
	gone := strings.TrimPrefix(base, whiteoutPrefix)
	if gone == "" || gone == "." || gone == ".." {
		return errors.New("the whiteout names no entry")
	}
	parent, err := u.openParent(dir)
	if err != nil {
		return err
	}
	name := path.Join(dir, gone)
	if u.made[name] { // a whiteout speaks of lower layers only: this layer's own entry stays
		var st unix.Stat_t
		if err := unix.Fstatat(parent, gone, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return u.opaque(name)
		}
		return nil
	}
	if u.hidden[name] {
		return nil
	}
	u.hidden[name] = true
	u.use.add(0)
	return unix.Mknodat(parent, gone, unix.S_IFCHR, 0)
}

func (u *untar) opaque(dir string) error {
	fd, err := u.openat2(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsetxattr(fd, opaqueXattr, []byte("y"), 0)
}

// finish sets the times of the directories.
func (u *untar) finish() error {
	for _, t := range u.times {
		fd, err := u.openDir(t.name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // a later entry replaced it
		}
		if err != nil {
			return err
		}
		err = setTimes(fd, "", t.hdr)
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}
