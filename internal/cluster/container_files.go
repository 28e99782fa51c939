package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/container"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/runtime/spec"
)

// Files opens the files of a container: of one that runs as its processes see them, volumes included; else its root file
// system alone, which of one that has ended is mounted for as long as the tree is open. While that can be written the
// container cannot be started; Close of both ends that.
func (n *Node) Files(ctx context.Context, c container.Container, write bool) (*container.Tree, func() error, error) {
	none := func() error { return nil }
	switch {
	case c.Running():
		root, err := n.rootOf(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		return container.NewTree(root), none, nil
	case !c.Exited():
		at, err := n.Engine.Rootfs(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		t, err := container.OpenTree(at)
		return t, none, err
	case !write:
		t, err := n.ended(ctx, c, false)
		return t, none, err
	}
	now, unlock, err := n.Engine.Hold(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if now.Running() {
		return nil, nil, errors.Join(fmt.Errorf("container %s was started meanwhile: ask again", c.Spec.Name), unlock())
	}
	t, err := n.ended(ctx, now, true)
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return t, unlock, nil
}

// rootOf opens the root of a container that runs.
func (n *Node) rootOf(ctx context.Context, c container.Container) (*os.File, error) {
	pid, err := n.Engine.Init(ctx, c)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenFile(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("container %s has just ended: %w", c.Spec.Name, err)
	}
	if again, err := n.Engine.Init(ctx, c); err != nil || again != pid || pid == 0 { // the number may be another process's by now
		return nil, errors.Join(fmt.Errorf("container %s has just ended", c.Spec.Name), err, root.Close())
	}
	return root, nil
}

// ended makes the root file system of a container that has ended, of its layers.
func (n *Node) ended(ctx context.Context, c container.Container, write bool) (*container.Tree, error) {
	upper, work, lower, err := n.Engine.Layers(ctx, c)
	if err != nil {
		return nil, err
	}
	o := pin.Overlay{Lower: append([]string{upper}, lower...)}
	if write {
		o = pin.Overlay{Lower: lower, Upper: upper, Work: work, Durable: true}
	}
	root, err := o.Open()
	if err != nil {
		return nil, err
	}
	return container.NewTree(root), nil
}

// User finds out who "USER[:GROUP]", names or numbers, is in a container that runs.
func (n *Node) User(ctx context.Context, c container.Container, text string) (uid, gid uint32, groups []uint32, err error) {
	root, err := n.rootOf(ctx, c)
	if err != nil {
		return 0, 0, nil, err
	}
	defer root.Close()
	u, err := spec.Lookup(fmt.Sprintf("/proc/self/fd/%d", root.Fd()), text)
	return u.UID, u.GID, u.Groups, err
}
