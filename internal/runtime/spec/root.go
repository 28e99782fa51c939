package spec

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxAccounts bounds what is read of /etc/passwd or /etc/group: they come from the image and can be anything.
const maxAccounts = 4 << 20

// readInRoot reads a file as a process in the root would: links are followed, but never out of it. Only regular files
// are opened, since a FIFO or device of the image would hang the reader. A missing file is empty.
func readInRoot(root, path string) ([]byte, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("root file system: %w", err)
	}
	defer unix.Close(dir)
	fd, err := OpenInRoot(dir, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s in the image: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the image is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxAccounts+1))
	if err != nil {
		return nil, fmt.Errorf("read %s in the image: %w", path, err)
	}
	if len(data) > maxAccounts {
		return nil, fmt.Errorf("%s in the image is larger than %d bytes", path, maxAccounts)
	}
	return data, nil
}

// OpenInRoot opens path as a process whose root is the open directory dir would: no link leads out of it. The kernel
// gives up with EAGAIN where anything on the machine was renamed or mounted while it looked at a "..", and wants to be
// asked again.
func OpenInRoot(dir int, path string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(dir, path, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
