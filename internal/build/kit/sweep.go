package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/build"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hierarchy"
)

func tmpDir(p build.Place) string  { return filepath.Join(p.Run, "tmp") }
func bundles(p build.Place) string { return filepath.Join(p.Run, "steps") }
func shimDir(p build.Place) string { return filepath.Join(p.Run, "shim") }

// shimConfig is the shim of this node's builds; it is another than the one of the node's pods.
func shimConfig(p build.Place) shim.Config {
	return shim.Config{Binary: p.Shim, RunDir: shimDir(p), Cgroup: p.Cgroup + "/shim"}
}

// sweep takes everything away that a build makes outside of its cache: containers, shim, mounts, cgroups, files. Each may
// be gone already. It is how a build ends, and how the next one finds the place after a build that was killed.
func sweep(ctx context.Context, p build.Place) error {
	if _, err := os.Stat(filepath.Join(shimDir(p), shim.SocketName)); err == nil {
		if err := endShim(ctx, p); err != nil {
			return err
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	if err := errors.Join(unmountUnder(mounts, p.Run, filepath.Join(p.Run, dbDir)), unmountUnder(mounts, p.State, "")); err != nil {
		return err
	}
	var errs []error
	for _, dir := range hierarchy.Dirs(p.Cgroup) {
		errs = append(errs, hierarchy.Remove(dir))
	}
	return errors.Join(append(errs, removeFiles(p.Run))...)
}

// removeFiles removes a run directory but for the databases in it, if there are any: they are the vault's.
func removeFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != dbDir {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// endShim ends the steps that still run, and their shim.
func endShim(ctx context.Context, p build.Place) error {
	c, err := shim.Ensure(ctx, shimConfig(p))
	if err != nil {
		return fmt.Errorf("reach the shim: %w", err)
	}
	states, _, err := c.List(ctx)
	if err != nil {
		return fmt.Errorf("list steps: %w", err)
	}
	for _, s := range states {
		if err := c.Delete(ctx, s.ID); err != nil && !errors.Is(err, shim.ErrNotFound) {
			return fmt.Errorf("end step %s: %w", s.ID, err)
		}
	}
	return c.Shutdown(ctx)
}

// unmountUnder takes away every mount below dir but the one at except, the newest first. mounts is the text of mountinfo,
// which is long on a node with many pods; most often it does not even mention dir.
func unmountUnder(mounts []byte, dir, except string) error {
	if written := !strings.ContainsAny(dir, " \t\n\\#"); written && !bytes.Contains(mounts, []byte(dir)) {
		return nil
	}
	all, err := mountinfo.GetMountsFromReader(bytes.NewReader(mounts), mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	var errs []error
	for i := len(all) - 1; i >= 0; i-- {
		at := all[i].Mountpoint
		if at == except {
			continue
		}
		if err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}
