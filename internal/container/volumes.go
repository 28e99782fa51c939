package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ListVolumes returns all volumes with the containers that use them, by name.
func (e *Engine) ListVolumes(ctx context.Context) ([]NamedVolume, error) {
	all, err := e.Volumes.list()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	users, err := e.volumeUsers(ctx)
	for i := range all {
		all[i].UsedBy = users[all[i].Name]
	}
	return all, err
}

func (e *Engine) volumeUsers(ctx context.Context) (map[string][]string, error) {
	list, err := e.List(ctx)
	users := map[string][]string{}
	for _, c := range list {
		for _, v := range c.Spec.Volumes {
			if v.Name != "" && !slices.Contains(users[v.Name], c.Spec.Name) {
				users[v.Name] = append(users[v.Name], c.Spec.Name)
			}
		}
	}
	return users, err
}

// RemoveVolume removes a volume with all that is in it. It returns ErrNoVolume and ErrVolumeUsed.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	if err := CheckVolumeName(name); err != nil {
		return err
	}
	return e.removing(ctx, func(users map[string][]string) error {
		if by := users[name]; len(by) > 0 {
			return fmt.Errorf("volume %s (%s): %w", name, strings.Join(by, ", "), ErrVolumeUsed)
		}
		return e.Volumes.remove(name)
	})
}

// PruneVolumes removes the volumes that no container uses: those without a name, and with all those with one.
func (e *Engine) PruneVolumes(ctx context.Context, all bool) (gone []string, err error) {
	err = e.removing(ctx, func(users map[string][]string) error {
		list, err := e.Volumes.list()
		if err != nil {
			return err
		}
		for _, v := range list {
			if len(users[v.Name]) > 0 || !v.Anonymous && !all {
				continue
			}
			if err := e.Volumes.remove(v.Name); err != nil {
				return err
			}
			gone = append(gone, v.Name)
		}
		return nil
	})
	return gone, err
}

// removing calls f while nobody takes a volume into use.
func (e *Engine) removing(ctx context.Context, f func(users map[string][]string) error) error {
	unlock, err := lockDir(ctx, string(e.Volumes), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	users, err := e.volumeUsers(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(users), e.Volumes.sweep())
}

// removeAnonymous removes the volumes of a container that has gone and to which no user gave a name.
func (e *Engine) removeAnonymous(ctx context.Context, s Spec) error {
	if !slices.ContainsFunc(s.Volumes, func(v Volume) bool { return v.Anonymous }) {
		return nil
	}
	return e.removing(ctx, func(users map[string][]string) error {
		for _, v := range s.Volumes {
			if !v.Anonymous || v.Name == "" || len(users[v.Name]) > 0 {
				continue
			}
			if err := e.Volumes.remove(v.Name); err != nil && !errors.Is(err, ErrNoVolume) {
				return err
			}
		}
		return nil
	})
}

// fillVolumes puts into each empty volume of c what the image has at its place, with the owner and mode of that.
func (e *Engine) fillVolumes(ctx context.Context, c Container) error {
	if !slices.ContainsFunc(c.Spec.Volumes, Volume.named) {
		return nil
	}
	users, err := e.volumeUsers(ctx)
	if err != nil {
		return err
	}
	rootfs, err := e.Rootfs(ctx, c)
	if err != nil {
		return err
	}
	root, err := OpenTree(rootfs)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, v := range c.Spec.Volumes {
		if !v.named() || v.NoCopy || len(users[v.Name]) > 1 {
			continue
		}
		if err := e.Volumes.fill(ctx, v.Name, root, v.Container); err != nil {
			return fmt.Errorf("volume %s: fill it with what the image has at %s: %w", v.Name, v.Container, err)
		}
	}
	return nil
}

// fill copies beside the volume's place and moves the copy there, so that a kill leaves the volume empty and not half full.
func (v Volumes) fill(ctx context.Context, name string, image *Tree, at string) error {
	unlock, err := lockDir(ctx, v.dir(name), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(v.path(name))
	if err != nil || len(entries) > 0 {
		return err
	}
	st, err := image.Stat(at)
	if errors.Is(err, os.ErrNotExist) || err == nil && !st.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	tmp := filepath.Join(v.dir(name), "filling")
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o755)); err != nil {
		return err
	}
	to, err := OpenTree(tmp)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := Copy(ctx, image, at+"/.", to, "/", CopyOptions{Owners: true}); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return unix.Rename(tmp, v.path(name)) // in the place of the empty one, which os.Rename refuses
}
