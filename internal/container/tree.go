package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is a tree of files as a process sees it whose root that is: absolute links and ".." stay inside.
type Tree struct{ root *os.File }

// OpenTree opens the tree at a directory of this machine.
func OpenTree(dir string) (*Tree, error) {
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Tree{f}, nil
}

// NewTree is the tree whose root is open already; Close closes it.
func NewTree(root *os.File) *Tree { return &Tree{root} }

// Close lets go of it.
func (t *Tree) Close() error { return t.root.Close() }

// open opens a path for looking at it, or for entering it.
func (t *Tree) open(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(t.root.Fd()), path.Join("/", name), &how)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

// Stat looks at what a path leads to, links included.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat(name, 0) }

// Lstat looks at a link itself where the path ends with one.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat(name, unix.O_NOFOLLOW) }

func (t *Tree) stat(name string, flags uint64) (fs.FileInfo, error) {
	f, err := t.open(name, flags)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// enter opens a directory so that nothing leads out of it.
func (t *Tree) enter(dir string) (*os.Root, error) {
	f, err := t.open(dir, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

// resolve follows links at the end of a path until there is none, and returns the path without them. The last part may be
// missing.
func (t *Tree) resolve(name string) (string, error) {
	name = path.Join("/", name)
	for range 40 {
		st, err := t.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode()&fs.ModeSymlink == 0 {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		dir, err := t.enter(path.Dir(name))
		if err != nil {
			return "", err
		}
		to, err := dir.Readlink(path.Base(name))
		dir.Close()
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(to, "/") {
			to = path.Join(path.Dir(name), to)
		}
		name = path.Join("/", to)
	}
	return "", &fs.PathError{Op: "open", Path: name, Err: unix.ELOOP}
}
