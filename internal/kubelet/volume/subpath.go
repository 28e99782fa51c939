package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// SubPath pins `sub` inside the volume at `base` and returns the host path to give to the runtime. No link inside the
// volume can lead outside: the path is opened beneath base, and what was opened (not the name) is bound. A directory is
// made where nothing is there.
func (m *Mounter) SubPath(pod *corev1.Pod, volume, base, sub, container string, index int) (string, error) {
	if filepath.IsAbs(sub) || !filepath.IsLocal(sub) {
		return "", fmt.Errorf("subPath %q must stay inside the volume", sub)
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return "", err
	}
	defer root.Close()
	f, err := open(root, sub)
	if err != nil {
		return "", fmt.Errorf("subPath %q of volume %q: %w", sub, volume, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	target := filepath.Join(m.PodDir(pod.UID), "volume-subpaths", volume, container, strconv.Itoa(index))
	return target, bind(f, st.IsDir(), target)
}

// open resolves sub beneath root in the kernel: a link may lead anywhere inside and nowhere else. O_PATH through os.Root
// would open a last link itself instead of following it.
func open(root *os.Root, sub string) (*os.File, error) {
	f, err := openBeneath(root, sub)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := makeLike(root, sub); err != nil {
		return nil, err
	}
	return openBeneath(root, sub)
}

// makeLike makes sub and its parents with the volume's own mode, umask or not: who may write to the volume may write to
// its new part.
func makeLike(root *os.Root, sub string) error {
	st, err := root.Stat(".")
	if err != nil {
		return err
	}
	parts := strings.Split(filepath.Clean(sub), "/")
	for i := range parts {
		dir := filepath.Join(parts[:i+1]...)
		err := root.Mkdir(dir, 0o750)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := root.Chmod(dir, st.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// openBeneath follows links as long as they stay below root. The kernel gives up with EAGAIN where anything on the machine
// was renamed or mounted while it looked at a "..", and wants to be asked again.
func openBeneath(root *os.Root, sub string) (*os.File, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), sub, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), sub), nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: sub, Err: err}
		}
	}
}

// bind mounts the opened file or directory on target, replacing an earlier mount.
func bind(f *os.File, dir bool, target string) error {
	if isMount(target) {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	if dir {
		if err := os.MkdirAll(target, 0o750); err != nil {
			return err
		}
	} else if err := os.WriteFile(target, nil, 0o640); err != nil {
		return err
	}
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	if err := unix.Mount(from, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind on %s: %w", target, err)
	}
	return nil
}
