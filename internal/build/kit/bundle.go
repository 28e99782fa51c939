package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	ctdoci "github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/continuity/fs"
	"github.com/moby/buildkit/executor"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// bundle is a step's root file system, mounted, and its config.json beside it.
type bundle struct {
	dir   string
	undo  []func() error // in the order of doing
	stubs func()         // takes away what mounting left in the root file system
}

// bundle prepares everything that the shim needs for a step. On error nothing of it remains.
func (s *steps) bundle(ctx context.Context, id string, root executor.Mount, mounts []executor.Mount, meta executor.Meta) (_ *bundle, err error) {
	b := &bundle{dir: filepath.Join(bundles(s.place), id)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if err := os.MkdirAll(b.dir, 0o711); err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() error { return os.RemoveAll(b.dir) })
	at, err := b.mountRoot(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("mount the root file system: %w", err)
	}
	b.stubs = executor.MountStubsCleaner(context.WithoutCancel(ctx), at, mounts, meta.RemoveMountStubsRecursive)
	spec, err := s.spec(ctx, b, id, at, mounts, meta)
	if err != nil {
		return nil, err
	}
	spec.Root.Path, spec.Root.Readonly = at, root.Readonly || meta.ReadonlyRootFS
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return b, os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o600)
}

func (b *bundle) mountRoot(ctx context.Context, root executor.Mount) (string, error) {
	ref, err := root.Src.Mount(ctx, root.Readonly)
	if err != nil {
		return "", err
	}
	all, release, err := ref.Mount()
	if err != nil {
		return "", err
	}
	if release != nil {
		b.undo = append(b.undo, release)
	}
	at := filepath.Join(b.dir, "rootfs")
	if err := os.Mkdir(at, 0o700); err != nil {
		return "", err
	}
	if err := mount.All(all, at); err != nil {
		return "", err
	}
	b.undo = append(b.undo, func() error { return os.NewSyscallError("unmount "+at, unix.Unmount(at, unix.MNT_DETACH)) })
	return at, nil
}

// spec is BuildKit's own idea of a step's container, with the user, files and directories that the root file system
// decides about.
func (s *steps) spec(ctx context.Context, b *bundle, id, at string, mounts []executor.Mount, meta executor.Meta) (*specs.Spec, error) {
	resolv, hosts, err := s.netFiles(ctx, b, meta)
	if err != nil {
		return nil, err
	}
	uid, gid, groups, err := oci.GetUser(at, meta.User)
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", meta.User, err)
	}
	net, ok := networks()[meta.NetMode]
	if !ok {
		return nil, fmt.Errorf("network mode %s is not built; there are host and none", meta.NetMode)
	}
	var ns network.Namespace
	if ns, err = net.New(ctx, meta.Hostname, network.NamespaceOptions{}); err != nil {
		return nil, err
	}
	spec, release, err := oci.GenerateSpec(ctx, meta, mounts, id, resolv, hosts, ns, s.place.Cgroup, oci.ProcessSandbox, nil, "", false, "", nil,
		oci.WithUIDGID(uid, gid, groups), ctdoci.WithNewPrivileges)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() error { release(); return nil })
	if err := s.shareName(ctx, spec); err != nil {
		return nil, err
	}
	return spec, workDir(at, meta.Cwd, int(uid), int(gid))
}

// netFiles makes /etc/resolv.conf and /etc/hosts of the step.
func (s *steps) netFiles(ctx context.Context, b *bundle, meta executor.Meta) (resolv, hosts string, err error) {
	root, err := os.OpenRoot(s.place.Run)
	if err != nil {
		return "", "", err
	}
	defer root.Close()
	if resolv, err = oci.GetResolvConf(ctx, root, nil, nil, meta.NetMode); err != nil {
		return "", "", fmt.Errorf("resolv.conf: %w", err)
	}
	hosts, clean, err := oci.GetHostsFile(ctx, root, meta.ExtraHosts, nil, meta.Hostname)
	if err != nil {
		return "", "", fmt.Errorf("hosts: %w", err)
	}
	if clean != nil {
		b.undo = append(b.undo, func() error { clean(); return nil })
	}
	return filepath.Join(s.place.Run, resolv), filepath.Join(s.place.Run, hosts), nil
}

// workDir makes the step's working directory, inside its root file system whatever links are there.
func workDir(root, cwd string, uid, gid int) error {
	at, err := fs.RootPath(root, cwd)
	if err != nil {
		return fmt.Errorf("working directory %s: %w", cwd, err)
	}
	if _, err := os.Stat(at); err == nil {
		return nil
	}
	if err := user.MkdirAllAndChown(at, 0o755, uid, gid); err != nil {
		return fmt.Errorf("working directory %s: %w", cwd, err)
	}
	return nil
}

// close undoes everything in the reverse order.
func (b *bundle) close() error {
	if b.stubs != nil {
		b.stubs()
	}
	var errs []error
	for i := len(b.undo) - 1; i >= 0; i-- {
		errs = append(errs, b.undo[i]())
	}
	b.stubs, b.undo = nil, nil
	return errors.Join(errs...)
}
