//go:build cgo

package jail

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Build makes the cgroups of a new container and returns the request to "minato-shim build DIR", which makes the rest,
// and the entry by which the container is entered later. The container's init will wait at fifo. ErrUnfit leaves a
// container to libcontainer; its cgroups may have been made then, and are empty.
func Build(r Request, b *Bundle, filters *Filters, fifo string) (wish *os.File, e *Entry, paths map[string]string, err error) {
	if r.Terminal || b.Hooks != nil || len(b.Linux.Sysctl) > 0 || b.Hostname != "" || b.Domainname != "" || len(b.Linux.NetDevices) > 0 ||
		len(b.Linux.TimeOffsets) > 0 || b.Linux.MountLabel != "" || b.Linux.RootfsPropagation == "unbindable" {
		return nil, nil, nil, ErrUnfit
	}
	if e, err = b.entry(filters); err != nil {
		return nil, nil, nil, err
	}
	spec := b.Spec
	process := *spec.Process
	spec.Process = &process
	if process.OOMScoreAdj == nil {
		process.OOMScoreAdj = new(int)
	}
	root := *spec.Root
	spec.Root = &root
	if !filepath.IsAbs(root.Path) {
		root.Path = filepath.Join(r.Bundle, root.Path)
	}
	for _, m := range spec.Mounts {
		if m.Type == "bind" && !filepath.IsAbs(m.Source) {
			return nil, nil, nil, ErrUnfit
		}
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: r.ID, Spec: &spec})
	if err != nil {
		return nil, nil, nil, err
	}
	if paths, err = makeCgroups(config.Cgroups, ownsCgroups(config), spec.Linux.Resources); err != nil {
		return nil, nil, nil, err
	}
	e.above = Above(spec.Linux.CgroupsPath, paths)
	shown := maps.Clone(e.above)
	maps.Copy(shown, paths)
	p := &plan{root: config.Rootfs, fifo: fifo, rootPropagation: uint32(config.RootPropagation)}
	if !cgroups.IsCgroup2UnifiedMode() {
		if p.hierarchies, err = cgroups.GetCgroupMounts(false); err != nil {
			return nil, nil, paths, err
		}
	}
	if p.room, err = roomFor(r, &spec, p.hierarchies); err != nil {
		return nil, nil, paths, err
	}
	if err := p.make(config, shown); err != nil {
		return nil, nil, paths, err
	}
	p.add(stepDirectory, spec.Process.Cwd, "")
	p.finish(config)
	data, err := e.encode(r.ID, paths, spec.Process, p)
	if err != nil {
		return nil, nil, paths, err
	}
	wish, err = inMemory(data)
	return wish, e, paths, err
}

// spared are hierarchies of version 1 in which a container gets no cgroup of its own: a directory of each costs the kernel
// some 7 KB and its time, and nothing is limited there or counted by us.
var spared = []string{"freezer", "blkio", "name=systemd", ""}

// ownsCgroups says whether the container may make cgroups below its own, for which it must have one everywhere.
func ownsCgroups(c *configs.Config) bool {
	return slices.ContainsFunc(c.Mounts, func(m *configs.Mount) bool { return m.Device == "cgroup" && m.Flags&unix.MS_RDONLY == 0 })
}

// makeCgroups makes them with their limits, in all hierarchies or where they matter; nobody is in them yet.
func makeCgroups(c *cgroups.Cgroup, everywhere bool, limits *specs.LinuxResources) (map[string]string, error) {
	m, err := manager.New(c)
	if err != nil {
		return nil, err
	}
	if !everywhere && !cgroups.IsCgroup2UnifiedMode() && !limitsBlocks(c.Resources) {
		paths := m.GetPaths()
		for _, name := range spared {
			delete(paths, name)
		}
		lend(paths, limits)
		if m, err = manager.NewWithPaths(c, paths); err != nil {
			return nil, err
		}
	}
	const nobody = -1
	if err := m.Apply(nobody); err != nil {
		return nil, fmt.Errorf("unable to apply cgroup configuration: %w", err)
	}
	if err := m.Set(c.Resources); err != nil {
		return nil, fmt.Errorf("error setting cgroup config: %w", err)
	}
	return m.GetPaths(), nil
}

// lend takes those out of paths that the container can do without.
func lend(paths map[string]string, limits *specs.LinuxResources) {
	for _, name := range lent {
		dir := paths[name]
		delete(paths, name)
		if slices.Contains(slices.Collect(maps.Values(paths)), dir) || slices.Contains(Lacks(paths, limits), name) {
			paths[name] = dir // of another controller too, or needed
		}
	}
}

func limitsBlocks(r *cgroups.Resources) bool {
	return r.BlkioWeight > 0 || r.BlkioLeafWeight > 0 || len(r.BlkioWeightDevice)+len(r.BlkioThrottleReadBpsDevice)+len(r.BlkioThrottleWriteBpsDevice)+
		len(r.BlkioThrottleReadIOPSDevice)+len(r.BlkioThrottleWriteIOPSDevice) > 0
}

func (p *plan) make(c *configs.Config, paths map[string]string) error {
	for _, ns := range c.Namespaces {
		switch {
		case ns.Type == configs.NEWUSER || ns.Type == configs.NEWTIME || ns.Type == configs.NEWNS && ns.Path != "":
			return ErrUnfit
		case ns.Path != "":
			p.joins = append(p.joins, ns.Path)
		default:
			p.namespaces |= uint32(ns.Syscall())
		}
	}
	if p.namespaces&unix.CLONE_NEWNS == 0 {
		return ErrUnfit
	}
	for _, m := range c.Mounts {
		if err := p.mount(m, c, paths); err != nil {
			return err
		}
	}
	return p.dev(c)
}

// inRoot is a path of the container, also where it was given as one of the host.
func inRoot(root, path string) string {
	path = filepath.Join("/", path)
	if rest, ok := strings.CutPrefix(path, root+"/"); ok {
		return "/" + rest
	}
	return path
}

const unknownFlags = ^(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME |
	unix.MS_RELATIME | unix.MS_STRICTATIME | unix.MS_NOSYMFOLLOW | unix.MS_BIND | unix.MS_REC)

func (p *plan) mount(m *configs.Mount, c *configs.Config, paths map[string]string) error {
	dest := inRoot(c.Rootfs, m.Destination)
	if m.Flags&unknownFlags != 0 || m.IDMapping != nil || m.Extensions != 0 || len(m.PropagationFlags) > 4 || dest == "/" ||
		strings.HasPrefix(dest, "/proc/") || m.IsBind() && dest == "/dev" {
		return ErrUnfit
	}
	switch m.Device {
	case "bind":
		p.bind(m, dest, m.Source)
		return nil
	case "proc", "sysfs":
		p.filesystem(m, dest, flagPlain)
		return nil
	case "tmpfs":
		p.filesystem(m, dest, flagLikeDest)
		return nil
	case "devpts", "mqueue":
		p.filesystem(m, dest, 0)
		return nil
	case "cgroup":
		return p.cgroup(m, dest, c, paths)
	}
	return ErrUnfit
}

// filesystem is read-only from the start, except for those into which files are still to be put.
func (p *plan) filesystem(m *configs.Mount, dest string, flags uint32) {
	s := p.add(stepFilesystem, dest, m.Source)
	s.kind, s.data = m.Device, m.Data
	set := m.Flags
	if m.Device == "tmpfs" || dest == "/dev" {
		set &^= unix.MS_RDONLY
	}
	if set&unix.MS_RDONLY != 0 {
		flags |= flagReadOnlyFS
	}
	s.fixed.Flags, s.fixed.AttrSet = flags, attrs(set)
	s.propagate(m)
}

// bind sets exactly the wanted attributes where any were named, as a remount would; how times of access are kept stays
// unless that was named too.
func (p *plan) bind(m *configs.Mount, dest, source string) {
	s := p.add(stepBind, dest, source)
	if m.Flags&unix.MS_REC != 0 {
		s.fixed.Flags |= flagRecursive
	}
	if m.Flags&^(unix.MS_BIND|unix.MS_REC) != 0 || m.ClearedFlags != 0 {
		s.fixed.Flags |= flagAttrs
		s.fixed.AttrSet = attrs(m.Flags)
		s.fixed.AttrClr = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW
		if m.Flags&(unix.MS_NOATIME|unix.MS_NODIRATIME|unix.MS_RELATIME|unix.MS_STRICTATIME) != 0 {
			s.fixed.AttrClr |= unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME
		}
	}
	if m.RecAttr != nil {
		s.fixed.RecSet, s.fixed.RecClr = m.RecAttr.Attr_set, m.RecAttr.Attr_clr
	}
	s.propagate(m)
}

func (s *step) propagate(m *configs.Mount) {
	for i, f := range m.PropagationFlags {
		s.fixed.Propagation[i] = uint32(f)
	}
}

func attrs(flags int) (out uint64) {
	for _, f := range []struct {
		ms   int
		attr uint64
	}{{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY}, {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID}, {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
		{unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC}, {unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME}, {unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW}} {
		if flags&f.ms != 0 {
			out |= f.attr
		}
	}
	switch {
	case flags&unix.MS_STRICTATIME != 0: // the kernel's own order of precedence
		out |= unix.MOUNT_ATTR_STRICTATIME
	case flags&unix.MS_NOATIME != 0:
		out |= unix.MOUNT_ATTR_NOATIME
	}
	return out
}

// cgroup shows the container its own cgroups: in v1 one of each hierarchy.
func (p *plan) cgroup(m *configs.Mount, dest string, c *configs.Config, paths map[string]string) error {
	if cgroups.IsCgroup2UnifiedMode() {
		if !c.Namespaces.Contains(configs.NEWCGROUP) {
			return ErrUnfit
		}
		s := p.add(stepFilesystem, dest, m.Source)
		s.kind, s.data, s.fixed.AttrSet = "cgroup2", m.Data, attrs(m.Flags)
		if m.Flags&unix.MS_RDONLY != 0 {
			s.fixed.Flags = flagReadOnlyFS
		}
		s.propagate(m)
		return nil
	}
	if c.Namespaces.Contains(configs.NEWCGROUP) {
		return ErrUnfit
	}
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	shared := p.room != nil && m.Flags&unix.MS_RDONLY != 0
	const tight = unix.MS_NOEXEC | unix.MS_NOSUID | unix.MS_NODEV
	if shared {
		p.bind(&configs.Mount{Flags: unix.MS_BIND | unix.MS_RDONLY | tight, PropagationFlags: m.PropagationFlags}, dest, p.room.cgroup)
	} else {
		p.filesystem(&configs.Mount{Source: "tmpfs", Device: "tmpfs", Data: "mode=755", PropagationFlags: m.PropagationFlags, Flags: tight}, dest, flagLikeDest)
	}
	for _, h := range p.hierarchies {
		source, err := ownCgroup(h, paths, own)
		if err != nil {
			return err
		}
		name := filepath.Base(h.Mountpoint)
		p.bind(&configs.Mount{Flags: unix.MS_BIND | unix.MS_REC | m.Flags, PropagationFlags: m.PropagationFlags}, filepath.Join(dest, name), source)
		for sub := range strings.SplitSeq(name, ",") {
			if sub != name && !shared {
				p.add(stepLink, filepath.Join(dest, sub), name)
			}
		}
	}
	return nil
}

// ownCgroup is the container's directory in a hierarchy; in one that has no limits to set, the shim's.
func ownCgroup(h cgroups.Mount, paths, own map[string]string) (string, error) {
	for _, sub := range h.Subsystems {
		for _, name := range []string{sub, cgroups.CgroupNamePrefix + sub} {
			if dir := paths[name]; dir != "" {
				return dir, nil
			}
		}
	}
	dir, err := h.GetOwnCgroup(own)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(h.Root, dir)
	return filepath.Join(h.Mountpoint, rel), err
}

// dev makes the devices and links of /dev.
func (p *plan) dev(c *configs.Config) error {
	for _, d := range c.Devices {
		if d.Path == "" || filepath.Clean(d.Path) == "/dev/ptmx" {
			continue
		}
		dev, err := d.Mkdev()
		if err != nil {
			return err
		}
		kind, ok := map[rune]uint32{'b': unix.S_IFBLK, 'c': unix.S_IFCHR, 'u': unix.S_IFCHR, 'p': unix.S_IFIFO}[rune(d.Type)]
		if !ok {
			return fmt.Errorf("%c is not a valid device type for device %s", d.Type, d.Path)
		}
		s := p.add(stepDevice, inRoot(c.Rootfs, d.Path), "")
		s.fixed.Mode, s.fixed.UID, s.fixed.GID, s.fixed.Dev = kind|uint32(d.FileMode)&0o7777, d.Uid, d.Gid, dev
	}
	p.add(stepUnlink, "/dev/ptmx", "")
	links := [][2]string{{"/dev/ptmx", "pts/ptmx"}, {"/dev/fd", "/proc/self/fd"}, {"/dev/stdin", "/proc/self/fd/0"},
		{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"}}
	if _, err := os.Stat("/proc/kcore"); err == nil {
		links = append(links, [2]string{"/dev/core", "/proc/kcore"})
	}
	for _, l := range links {
		p.add(stepLink, l[0], l[1])
	}
	return nil
}

// finish takes away what was only needed to build.
func (p *plan) finish(c *configs.Config) {
	for _, m := range c.Mounts {
		dest := inRoot(c.Rootfs, m.Destination)
		if m.Flags&unix.MS_RDONLY != 0 && (m.Device == "tmpfs" || dest == "/dev") {
			p.add(stepRemountReadOnly, dest, "")
		}
	}
	if c.Readonlyfs {
		p.add(stepRootReadOnly, "/", "")
	}
	for _, path := range c.ReadonlyPaths {
		p.add(stepReadOnly, path, "")
	}
	empty := ""
	if p.room != nil {
		empty = p.room.empty
	}
	for _, path := range c.MaskPaths {
		p.add(stepMask, path, empty)
	}
}
