package pin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay is a union of image layers and, for a container's root, a writable layer.
type Overlay struct {
	Lower []string // the topmost first
	Upper string   // "": read-only
	Work  string   // beside Upper, on the same file system
	// Users is the user namespace, pinned at a path, whose root owns what root owns in the layers; "": the host's.
	Users string
	// Owner of the root of the writable layer, where there is a user namespace.
	UID, GID int
	// Durable is a writable layer that is mounted again after a crash of the kernel.
	Durable bool
}

// Mount mounts the overlay at target, unless something is mounted there. Unless it is Durable, the writable layer lives as
// long as one container and is never mounted a second time after a crash of the kernel, so its contents need not be
// synced ("volatile"); logs and volumes are elsewhere.
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
		if o.Users != "" {
			return Shift(o.Lower[0], target, o.Users)
		}
		return bindReadOnly(o.Lower[0], target)
	}
	if o.Users != "" {
		return o.mountShifted(target)
	}
	if err := o.mount(target); err != nil {
		return fmt.Errorf("root file system: overlay on %s: %w", target, err)
	}
	return nil
}

// Open makes the union without mounting it anywhere: its root, which goes with the last file of it. What is written needs
// Upper and Work of nobody else.
func (o Overlay) Open() (*os.File, error) {
	m, err := o.make()
	if err != nil {
		return nil, fmt.Errorf("root file system: overlay of %s: %w", o.Upper, err)
	}
	return os.NewFile(uintptr(m), "overlay"), nil
}

// mountShifted lays the overlay over layers that are mounted, for as long as that takes, with their owners shifted. The
// overlay keeps mounts of its own of them.
func (o Overlay) mountShifted(target string) (err error) {
	if o.Upper != "" {
		for _, dir := range []string{o.Upper, o.Work} {
			if err := os.Chown(dir, o.UID, o.GID); err != nil {
				return fmt.Errorf("root file system: %w", err)
			}
		}
	}
	dir := layersOf(target)
	defer func() { err = errors.Join(err, DropLayers(target)) }()
	shifted := make([]string, len(o.Lower))
	for i, l := range o.Lower {
		shifted[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := os.MkdirAll(shifted[i], 0o700); err != nil {
			return fmt.Errorf("root file system: %w", err)
		}
		if err := Shift(l, shifted[i], o.Users); err != nil {
			return err
		}
	}
	o.Lower = shifted
	if err := o.mount(target); err != nil {
		return fmt.Errorf("root file system: overlay on %s: %w", target, err)
	}
	return nil
}

func layersOf(target string) string { return target + ".layers" }

// DropLayers removes what a crash in the middle of Mount left beside target.
func DropLayers(target string) error {
	dir := layersOf(target)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil // most have none, and to look through the mounts of the whole machine is dear
	}
	if err := UnmountBelow(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// mount uses the file descriptor API, which takes any number of layers; mount(2) takes one page of options.
func (o Overlay) mount(target string) error {
	m, err := o.make()
	if errors.Is(err, errOldKernel) {
		return o.mountOld(target)
	}
	if err != nil {
		return err
	}
	defer unix.Close(m)
	return unix.MoveMount(m, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// errOldKernel is returned by make where layers cannot be given one by one.
var errOldKernel = errors.New("this needs Linux 6.8 or newer")

// make returns the file descriptor of a mount that is nowhere.
func (o Overlay) make() (int, error) {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	for i, l := range o.Lower {
		err := unix.FsconfigSetString(fd, "lowerdir+", l)
		if i == 0 && errors.Is(err, unix.EINVAL) {
			return -1, errOldKernel
		}
		if err != nil {
			return -1, fmt.Errorf("layer %s: %w", l, err)
		}
	}
	if o.Upper != "" {
		if err := errors.Join(unix.FsconfigSetString(fd, "upperdir", o.Upper), unix.FsconfigSetString(fd, "workdir", o.Work)); err != nil {
			return -1, err
		}
		if !o.Durable {
			if err := unix.FsconfigSetFlag(fd, "volatile"); err != nil {
				return -1, err
			}
		}
	}
	// Hard links across layers would need an index, and its unsynced state outlives nothing of ours.
	if err := unix.FsconfigSetString(fd, "index", "off"); err != nil {
		return -1, err
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return -1, err
	}
	return unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
}

// mountOld serves kernels before 6.8, which take all layers in one string.
func (o Overlay) mountOld(target string) error {
	data := "index=off,lowerdir=" + strings.Join(o.Lower, ":")
	if o.Upper != "" {
		data += ",upperdir=" + o.Upper + ",workdir=" + o.Work
		if !o.Durable {
			data += ",volatile"
		}
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
