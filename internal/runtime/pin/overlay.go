package pin

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay is a union of image layers and, for a container's root, a writable layer.
type Overlay struct {
	Lower []string // the topmost first
	Upper string   // "": read-only
	Work  string   // beside Upper, on the same file system
}

// Mount mounts the overlay at target, unless something is mounted there. The writable layer lives as long as one
// container and is never mounted a second time after a crash of the kernel, so its contents need not be synced
// ("volatile"); logs and volumes are elsewhere.
func (o Overlay) Mount(target string) error {
	if mounted, err := IsMount(target); err != nil || mounted {
		return err
	}
	for _, dir := range []string{target, o.Upper, o.Work} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("root file system: %w", err)
		}
	}
	if o.Upper == "" && len(o.Lower) == 1 {
		return bindReadOnly(o.Lower[0], target)
	}
	if err := o.mount(target); err != nil {
		return fmt.Errorf("root file system: overlay on %s: %w", target, err)
	}
	return nil
}

// mount uses the file descriptor API, which takes any number of layers; mount(2) takes one page of options.
func (o Overlay) mount(target string) error {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for i, l := range o.Lower {
		err := unix.FsconfigSetString(fd, "lowerdir+", l)
		if i == 0 && errors.Is(err, unix.EINVAL) {
			return o.mountOld(target)
		}
		if err != nil {
			return fmt.Errorf("layer %s: %w", l, err)
		}
	}
	if o.Upper != "" {
		if err := errors.Join(unix.FsconfigSetString(fd, "upperdir", o.Upper), unix.FsconfigSetString(fd, "workdir", o.Work),
			unix.FsconfigSetFlag(fd, "volatile")); err != nil {
			return err
		}
	}
	// Hard links across layers would need an index, and its unsynced state outlives nothing of ours.
	if err := unix.FsconfigSetString(fd, "index", "off"); err != nil {
		return err
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return err
	}
	m, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	return unix.MoveMount(m, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// mountOld serves kernels before 6.8, which take all layers in one string.
func (o Overlay) mountOld(target string) error {
	data := "index=off,lowerdir=" + strings.Join(o.Lower, ":")
	if o.Upper != "" {
		data += ",volatile,upperdir=" + o.Upper + ",workdir=" + o.Work
	}
	if len(data) >= os.Getpagesize() {
		return fmt.Errorf("%d layers do not fit into this kernel's mount options (%d bytes); Linux 6.8 or newer has no such limit", len(o.Lower), len(data))
	}
	return unix.Mount("overlay", target, "overlay", 0, data)
}

// bindReadOnly is the union of one layer.
func bindReadOnly(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("root file system: bind %s: %w", from, err)
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("root file system: make %s read-only: %w", to, errors.Join(err, Unmount(to)))
	}
	return nil
}
