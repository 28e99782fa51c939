package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

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

func open(root *os.Root, sub string) (*os.File, error) {
	f, err := root.OpenFile(sub, unix.O_PATH|unix.O_CLOEXEC, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := root.MkdirAll(sub, 0o750); err != nil {
		return nil, err
	}
	return root.OpenFile(sub, unix.O_PATH|unix.O_CLOEXEC, 0)
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
