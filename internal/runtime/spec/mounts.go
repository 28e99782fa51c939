package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// mounts lists the kernel's file systems, the pod's files and the client's mounts, the shallower first. A client's mount
// takes the place of ours on the same path.
func (b *build) mounts() error {
	asked, err := b.asked()
	if err != nil {
		return err
	}
	memory, err := b.inMemory()
	if err != nil {
		return err
	}
	asked = append(asked, memory...)
	taken := map[string]bool{}
	for _, m := range asked {
		taken[m.Destination] = true
	}
	all := slices.DeleteFunc(append(b.system(), b.Files...), func(m specs.Mount) bool { return taken[m.Destination] })
	sort.SliceStable(asked, func(i, j int) bool { return depth(asked[i].Destination) < depth(asked[j].Destination) })
	b.spec.Mounts = append(all, asked...)
	return nil
}

func depth(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

// system are the mounts that every Linux process expects.
func (b *build) system() []specs.Mount {
	sys := []string{"nosuid", "noexec", "nodev", "ro"}
	cg := []string{"nosuid", "noexec", "nodev", "relatime", "ro"}
	if b.privileged() {
		sys[3], cg[4] = "rw", "rw"
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: sys},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: cg},
	}
}

// asked turns the client's mounts into OCI ones.
func (b *build) asked() ([]specs.Mount, error) {
	var out []specs.Mount
	for i, m := range b.Container.GetMounts() {
		mount, err := b.bind(i, m)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.GetContainerPath(), err)
		}
		out = append(out, mount)
	}
	return out, nil
}

func (b *build) bind(i int, m *cri.Mount) (specs.Mount, error) {
	to := m.GetContainerPath()
	if to == "" {
		return specs.Mount{}, errors.New("container_path is empty")
	}
	out := specs.Mount{Destination: filepath.Join("/", to), Type: "bind", Options: []string{"rbind"}}
	if m.GetImage().GetImage() == "" && len(m.GetUidMappings())+len(m.GetGidMappings()) > 0 { // an image's layers are shifted already
		out.UIDMappings, out.GIDMappings = IDs(m.GetUidMappings()), IDs(m.GetGidMappings())
		out.Options = append(out.Options, "ridmap")
	}
	var err error
	if m.GetImage().GetImage() != "" {
		out.Source, err = b.imageVolume(i, m)
		out.Options = append(out.Options, "rprivate", "ro")
		out.Options = append(out.Options, m.GetMountOptions()...)
		return out, err
	}
	if out.Source, err = hostPath(m.GetHostPath()); err != nil {
		return out, err
	}
	if err := b.propagate(&out, m.GetPropagation()); err != nil {
		return out, err
	}
	if err := readOnly(&out, m); err != nil {
		return out, err
	}
	return out, extra(&out, m.GetMountOptions())
}

// readOnly covers the mount alone or, recursively, all mounts below it too.
func readOnly(out *specs.Mount, m *cri.Mount) error {
	switch {
	case m.GetRecursiveReadOnly() && !m.GetReadonly():
		return errors.New("recursive_read_only needs readonly")
	case m.GetRecursiveReadOnly() && m.GetPropagation() != cri.MountPropagation_PROPAGATION_PRIVATE:
		return errors.New("recursive_read_only needs private propagation")
	case m.GetRecursiveReadOnly():
		out.Options = append(out.Options, "rro")
	case m.GetReadonly():
		out.Options = append(out.Options, "ro")
	default:
		out.Options = append(out.Options, "rw")
	}
	return nil
}

// extra adds the options that Kubernetes lets volumes have.
func extra(out *specs.Mount, options []string) error {
	for _, o := range options {
		if !slices.Contains([]string{"noexec", "nodev", "nosuid", "exec", "dev", "suid", "noatime", "relatime", "nodiratime", "nosymfollow"}, o) {
			return fmt.Errorf("mount option %q is not one for a volume", o)
		}
		out.Options = append(out.Options, o)
	}
	return nil
}

// hostPath follows links of the host, and makes a directory where nothing is, as runtimes have always done.
func hostPath(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("host_path %q is not absolute", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return "", fmt.Errorf("make host_path: %w", err)
		}
		return path, nil
	}
	return real, err
}

// imageVolume returns the directory of a mounted image, or the part of it that is asked for.
func (b *build) imageVolume(i int, m *cri.Mount) (string, error) {
	if m.GetHostPath() != "" {
		return "", errors.New("image and host_path exclude each other")
	}
	dir, ok := b.Volumes[i]
	if !ok {
		return "", errors.New("image volume is not mounted")
	}
	return dir, nil
}

// IDs turns CRI mappings into OCI ones.
func IDs(in []*cri.IDMapping) []specs.LinuxIDMapping {
	var out []specs.LinuxIDMapping
	for _, m := range in {
		out = append(out, specs.LinuxIDMapping{ContainerID: m.GetContainerId(), HostID: m.GetHostId(), Size: m.GetLength()})
	}
	return out
}
