package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// devices denies all, then allows what is asked for; the ones every container has (null, zero, random, tty, ...) are
// the shim's. A privileged container has the host's.
func (b *build) devices() error {
	l := b.spec.Linux
	if b.privileged() {
		l.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}}
		host, err := hostDevices("/dev", "/dev")
		l.Devices = host
		return err
	}
	l.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	for _, d := range b.Container.GetDevices() {
		found, err := hostDevices(d.GetHostPath(), d.GetContainerPath())
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s is not a device and holds none", d.GetHostPath())
		}
		if strings.Trim(d.GetPermissions(), "rwm") != "" {
			return fmt.Errorf("%s: permissions %q: want letters of rwm", d.GetHostPath(), d.GetPermissions())
		}
		for _, f := range found {
			major, minor := f.Major, f.Minor
			l.Resources.Devices = append(l.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: f.Type, Major: &major, Minor: &minor, Access: d.GetPermissions()})
		}
		l.Devices = append(l.Devices, found...)
	}
	return nil
}

// hostDevices describes the device at host, or all devices below it, as they appear at inside.
func hostDevices(host, inside string) ([]specs.LinuxDevice, error) {
	real, err := filepath.EvalSymlinks(host)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	var out []specs.LinuxDevice
	err = filepath.WalkDir(real, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, real)
		if e.IsDir() && path != real && private(rel) {
			return fs.SkipDir
		}
		if e.Type()&fs.ModeDevice == 0 || rel == "/console" {
			return nil
		}
		d, err := device(path, inside+rel)
		if err == nil {
			out = append(out, d)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("device: %w", err)
	}
	return out, nil
}

// private are the directories of /dev that each container has for itself.
func private(rel string) bool {
	switch rel {
	case "/pts", "/shm", "/fd", "/mqueue", "/.lxc", "/.lxd-mounts", "/.udev":
		return true
	}
	return false
}

func device(path, inside string) (specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return specs.LinuxDevice{}, fmt.Errorf("stat %s: %w", path, err)
	}
	mode, uid, gid := os.FileMode(st.Mode&0o7777), st.Uid, st.Gid
	d := specs.LinuxDevice{Path: inside, Type: "c", Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		FileMode: &mode, UID: &uid, GID: &gid}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		d.Type = "b"
	}
	return d, nil
}
