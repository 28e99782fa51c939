package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// regular writes one file.
func (u *untar) regular(parent int, base string, hdr *tar.Header, body io.Reader) error {
	if err := u.roomFor(hdr.Size); err != nil {
		return err
	}
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.copy(fd, body); err != nil {
		return err
	}
	u.use.add(uint64(hdr.Size))
	if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, modeOf(hdr)); err != nil { // after chown, which takes setuid away
		return err
	}
	if err := setXattrs(hdr, func(k string, v []byte) error { return unix.Fsetxattr(fd, k, v, 0) }); err != nil {
		return err
	}
	return setTimes(fd, "", hdr)
}

// roomFor refuses a file that cannot fit before a byte of it is written: a sparse one of a few bytes in the archive may
// claim to be larger than any disk, and a small archive may hold more zeros than that.
func (u *untar) roomFor(size int64) error {
	if u.unlooked += max(size, 4<<10); u.unlooked < lookEvery {
		return nil
	}
	u.unlooked = 0
	return roomFor(int(u.root.Fd()), size)
}

func (u *untar) copy(fd int, body io.Reader) error {
	for {
		n, err := body.Read(u.buf)
		for b := u.buf[:n]; len(b) > 0; {
			w, err := unix.Write(fd, b)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			b = b[w:]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hardLink links to an earlier file of the same layer.
func (u *untar) hardLink(parent int, base, target string) error {
	name, err := cleanName(target)
	if err != nil {
		return fmt.Errorf("link target %q: %w", target, err)
	}
	if name == "." {
		return fmt.Errorf("link target %q is the root", target)
	}
	from, err := u.openat2(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("link target %q: %w", target, err)
	}
	defer unix.Close(from)
	if err := unix.Linkat(from, path.Base(name), parent, base, 0); err != nil {
		return fmt.Errorf("link target %q: %w", target, err)
	}
	return nil
}

// special makes symbolic links, devices and pipes.
func (u *untar) special(parent int, base string, hdr *tar.Header) error {
	kinds := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}
	link := hdr.Typeflag == tar.TypeSymlink
	if link {
		if err := unix.Symlinkat(hdr.Linkname, parent, base); err != nil {
			return err
		}
	} else if kind, ok := kinds[hdr.Typeflag]; ok {
		dev := unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor))
		if err := unix.Mknodat(parent, base, kind|0o600, int(dev)); err != nil {
			return err
		}
	} else {
		return fmt.Errorf("unknown type %q", hdr.Typeflag)
	}
	u.use.add(0)
	if err := unix.Fchownat(parent, base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if !link {
		if err := unix.Fchmodat(parent, base, modeOf(hdr), 0); err != nil {
			return err
		}
	}
	at := procPath(parent, base)
	if err := setXattrs(hdr, func(k string, v []byte) error { return unix.Lsetxattr(at, k, v, 0) }); err != nil {
		return err
	}
	return setTimes(parent, base, hdr)
}

// setXattrs sets the attributes that PAX records carry. overlayfs's own are left out: an image must not tell the mount
// where to look. A file system that cannot hold an attribute does without it, as elsewhere.
func setXattrs(hdr *tar.Header, set func(key string, value []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(hdr.PAXRecords)) {
		key, ok := strings.CutPrefix(k, paxXattr)
		if !ok || strings.HasPrefix(key, "trusted.overlay.") || strings.HasPrefix(key, "user.overlay.") {
			continue
		}
		if err := set(key, []byte(hdr.PAXRecords[k])); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("attribute %q: %w", key, err)
		}
	}
	return nil
}

// setTimes sets those of fd, or of its entry base where that is not "".
func setTimes(fd int, base string, hdr *tar.Header) error {
	at := hdr.AccessTime
	if at.IsZero() {
		at = hdr.ModTime
	}
	ts := []unix.Timespec{timespec(at), timespec(hdr.ModTime)}
	if base != "" {
		return unix.UtimesNanoAt(fd, base, ts, unix.AT_SYMLINK_NOFOLLOW)
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), ts, 0)
}

func timespec(t time.Time) unix.Timespec {
	if t.Before(time.Unix(0, 0)) {
		t = time.Unix(0, 0)
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return unix.Timespec{}
	}
	return ts
}

func modeOf(hdr *tar.Header) uint32 { return uint32(hdr.Mode) & 0o7777 }

// procPath names an entry of an open directory for calls that take only paths.
func procPath(dir int, base string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, base) }

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
