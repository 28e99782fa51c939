package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/runtime/spec"
)

// containerSteps are what a container has, in the order in which it is made. Its process comes with StartContainer.
var containerSteps = []step[ledger.Container]{
	{name: "directories", undo: (*Server).dropDirs},
	{name: "root file system", do: (*Server).mountRoot, undo: (*Server).dropRoot, early: true},
	{name: "image volumes", do: (*Server).mountVolumes, undo: (*Server).dropVolumes, early: true},
	{name: "specification", do: (*Server).writeSpec},
	{name: "log directory", do: (*Server).makeLogDir},
	{name: "process", undo: (*Server).dropProcess, early: true},
}

// imageOf finds the image that the record was made with.
func (s *Server) imageOf(c *ledger.Container) (image.Image, error) {
	img, ok := s.cfg.Images.Resolve(c.ImageID)
	if !ok {
		return image.Image{}, fmt.Errorf("image %q: %w", c.ImageRef, image.ErrNotFound)
	}
	return img, nil
}

// mountRoot lays a writable layer over the image. It is on disk under Root, while the mount is under RunDir.
func (s *Server) mountRoot(ctx context.Context, c *ledger.Container) error {
	img, err := s.imageOf(c)
	if err != nil {
		return err
	}
	if err := s.freeLayer(ctx, c); err != nil {
		return err
	}
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil {
		return notFound("sandbox", c.Sandbox)
	}
	data := s.layerDir(c)
	return s.shifted(p, pin.Overlay{Lower: append(slices.Clone(img.Layers), s.cfg.mountPoints()), Upper: filepath.Join(data, "upper"),
		Work: filepath.Join(data, "work"), Durable: data != s.cfg.containerData(c.ID)}).Mount(s.cfg.rootfs(c.ID))
}

func (s *Server) dropRoot(_ context.Context, c *ledger.Container) error {
	return errors.Join(pin.Unmount(s.cfg.rootfs(c.ID)), pin.DropLayers(s.cfg.rootfs(c.ID)))
}

// dropDirs removes the writable layer and the bundle. Its mounts are gone by now; if one is not, nothing is removed
// through it.
func (s *Server) dropDirs(_ context.Context, c *ledger.Container) error {
	if mounted, err := pin.IsMount(s.cfg.rootfs(c.ID)); mounted || err != nil {
		return errors.Join(fmt.Errorf("%s is still mounted", s.cfg.rootfs(c.ID)), err)
	}
	s.layers.forget(c.ID)
	if len(s.layerSharers(c)) > 0 {
		return os.RemoveAll(s.cfg.bundleDir(c.ID))
	}
	return errors.Join(os.RemoveAll(s.layerDir(c)), os.RemoveAll(s.cfg.bundleDir(c.ID)))
}

// mountVolumes mounts the images that the container wants to read as volumes.
func (s *Server) mountVolumes(_ context.Context, c *ledger.Container) error {
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil {
		return notFound("sandbox", c.Sandbox)
	}
	for i, m := range c.Config.GetMounts() {
		ref := m.GetImage().GetImage()
		if ref == "" {
			continue
		}
		img, ok := s.cfg.Images.Resolve(ref)
		if !ok {
			return fmt.Errorf("%w: image %q: %w", errImageVolume, ref, image.ErrNotFound)
		}
		if err := s.shifted(p, pin.Overlay{Lower: img.Layers}).Mount(s.cfg.volumeDir(c.ID, i)); err != nil {
			return fmt.Errorf("%w: %w", errImageVolume, err)
		}
	}
	return nil
}

// errImageVolume begins with the word by which the kubelet tells this failure apart.
var errImageVolume = errors.New("ImageVolumeMountFailed")

func (s *Server) dropVolumes(_ context.Context, c *ledger.Container) error {
	for i, m := range c.Config.GetMounts() {
		if m.GetImage().GetImage() == "" {
			continue
		}
		dir := s.cfg.volumeDir(c.ID, i)
		if err := errors.Join(pin.Unmount(dir), pin.DropLayers(dir)); err != nil {
			return err
		}
	}
	return nil
}

// writeSpec decides everything about the process and writes it where the shim reads it.
func (s *Server) writeSpec(_ context.Context, c *ledger.Container) error {
	in, err := s.specInput(c)
	if err != nil {
		return err
	}
	oci, user, err := spec.Build(in)
	if err != nil {
		return invalid("%v", err)
	}
	c.User = user
	data, err := json.Marshal(oci)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.cfg.bundleDir(c.ID), "config.json"), data, 0o600)
}

func (s *Server) specInput(c *ledger.Container) (spec.Input, error) {
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil {
		return spec.Input{}, notFound("sandbox", c.Sandbox)
	}
	img, err := s.imageOf(c)
	if err != nil {
		return spec.Input{}, err
	}
	ns, err := s.namespacesOf(p, c)
	if err != nil {
		return spec.Input{}, err
	}
	hostname, err := hostnameOf(p.Config.PodSandboxConfig)
	if err != nil {
		return spec.Input{}, err
	}
	volumes, err := s.volumesOf(c)
	if err != nil {
		return spec.Input{}, err
	}
	return spec.Input{
		Container: c.Config.ContainerConfig, Sandbox: p.Config.PodSandboxConfig, Image: img.Config.Config,
		Rootfs: s.cfg.rootfs(c.ID), Cgroup: s.cgroupOf(p, c.ID), Namespaces: ns,
		Files:   s.podMounts(p, c.Config.GetLinux().GetSecurityContext().GetReadonlyRootfs()),
		Volumes: volumes, Hostname: hostname, Node: s.node,
	}, nil
}

// cgroupOf puts the container below its pod, or below ours where the client names no parent.
func (s *Server) cgroupOf(p *ledger.Sandbox, id string) string {
	parent := p.Config.GetLinux().GetCgroupParent()
	if parent == "" {
		parent = "/minato"
	}
	return filepath.Join(parent, id)
}

// namespacesOf lists what the container joins (the pod's pins, another container's pid namespace) and gets new.
func (s *Server) namespacesOf(p *ledger.Sandbox, c *ledger.Container) ([]specs.LinuxNamespace, error) {
	ns := append(s.pinned(p), specs.LinuxNamespace{Type: specs.MountNamespace})
	sec := c.Config.GetLinux().GetSecurityContext()
	if s.node.CgroupV2 && !sec.GetPrivileged() {
		ns = append(ns, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	mode := modes(p.Config.PodSandboxConfig).GetPid()
	if o := sec.GetNamespaceOptions(); o != nil {
		mode = o.GetPid()
	}
	switch mode {
	case api.NamespaceMode_NODE:
		return ns, nil
	case api.NamespaceMode_CONTAINER:
		return append(ns, specs.LinuxNamespace{Type: specs.PIDNamespace}), nil
	case api.NamespaceMode_POD:
		if !s.initAlive(p) || p.InitPID == 0 {
			return nil, precondition("sandbox %s has no shared pid namespace: it was not made with pid mode POD", p.ID)
		}
		return append(ns, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", p.InitPID)}), nil
	}
	target, err := s.container(sec.GetNamespaceOptions().GetTargetId())
	if err != nil {
		return nil, err
	}
	if target.Sandbox != p.ID || target.State() != api.ContainerState_CONTAINER_RUNNING {
		return nil, precondition("target container %s is not running in this pod", target.ID)
	}
	return append(ns, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", target.PID)}), nil
}

// volumesOf returns the directory of each image volume, down to the part that is asked for.
func (s *Server) volumesOf(c *ledger.Container) (map[int]string, error) {
	dirs := map[int]string{}
	for i, m := range c.Config.GetMounts() {
		if m.GetImage().GetImage() == "" {
			continue
		}
		dir := s.cfg.volumeDir(c.ID, i)
		part, err := within(dir, m.GetImageSubPath())
		if err != nil {
			return nil, fmt.Errorf("%w: image_sub_path %q: %w", errImageVolume, m.GetImageSubPath(), err)
		}
		dirs[i] = part
	}
	return dirs, nil
}

// within returns the path of sub inside dir after all links, which cannot lead out of dir.
func within(dir, sub string) (string, error) {
	if sub == "" {
		return dir, nil
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(root)
	fd, err := spec.OpenInRoot(root, sub, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func (s *Server) makeLogDir(_ context.Context, c *ledger.Container) error {
	if c.LogPath == "" {
		return nil
	}
	return os.MkdirAll(filepath.Dir(c.LogPath), 0o755)
}

// dropProcess ends what still runs and makes the shim forget the container.
func (s *Server) dropProcess(ctx context.Context, c *ledger.Container) error {
	return s.shim.Load().Delete(ctx, c.ID)
}
