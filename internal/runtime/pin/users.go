package pin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Users are the mappings of a user namespace: who a user or group inside is outside.
type Users struct {
	UIDs, GIDs []syscall.SysProcIDMap
}

// Root is who root inside is outside; ok is false where root is not mapped.
func (u *Users) Root() (uid, gid int, ok bool) {
	uid, okUID := outside(u.UIDs)
	gid, okGID := outside(u.GIDs)
	return uid, gid, okUID && okGID
}

func outside(maps []syscall.SysProcIDMap) (int, bool) {
	for _, m := range maps {
		if m.ContainerID == 0 && m.Size > 0 {
			return m.HostID, true
		}
	}
	return 0, false
}

// withUsers calls f with the id of a process that stands still, from its first moment, in new namespaces: the user
// namespace of the mappings and those of the flags, which belong to it. The process ends when f returns. A process of
// many threads can make a user namespace in no other way.
func (u *Users) withUsers(ctx context.Context, flags int, f func(pid int) error) error {
	return onLostThread(ctx, func() error { // who traces a process is a thread
		p, err := os.StartProcess("/proc/self/exe", []string{"minato-pin"}, &os.ProcAttr{Env: []string{}, Sys: &syscall.SysProcAttr{
			Cloneflags: uintptr(unix.CLONE_NEWUSER | flags), UidMappings: u.UIDs, GidMappings: u.GIDs, GidMappingsEnableSetgroups: true,
			Ptrace: true, Pdeathsig: syscall.SIGKILL, Setpgid: true,
		}})
		if err != nil {
			return fmt.Errorf("user namespace: %w", err)
		}
		failed := f(p.Pid)
		if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			failed = errors.Join(failed, err)
		}
		for { // it may have a stop to tell before its end
			var ws syscall.WaitStatus
			_, err := syscall.Wait4(p.Pid, &ws, 0, nil)
			if errors.Is(err, syscall.EINTR) || err == nil && !ws.Exited() && !ws.Signaled() {
				continue
			}
			return failed
		}
	})
}

// makeOwned pins namespaces that belong to a user namespace of the pod's.
func (n Namespaces) makeOwned(ctx context.Context, dir string) error {
	flags := 0
	for _, k := range n.kinds() {
		flags |= k.flag
	}
	err := n.User.withUsers(ctx, flags&^unix.CLONE_NEWUSER, func(pid int) error {
		for _, k := range n.kinds() {
			if err := pinFile(fmt.Sprintf("/proc/%d/ns/%s", pid, k.name), filepath.Join(dir, k.name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return onLostThread(ctx, func() error {
		for _, k := range n.kinds() {
			if k.flag == unix.CLONE_NEWUSER {
				continue // ours have power over it, and to be in it is to have lost that
			}
			if err := enter(filepath.Join(dir, k.name), k.flag); err != nil {
				return err
			}
		}
		return n.setUp()
	})
}

// becomeRoot makes the calling thread, and only that, the user who is root in the namespace: sysctls belong to him. The
// thread cannot be used for anything else.
func (u *Users) becomeRoot() error {
	uid, gid, ok := u.Root()
	if !ok {
		return errors.New("the user namespace has no root")
	}
	const same = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, same, uintptr(gid), same); errno != 0 {
		return os.NewSyscallError("setresgid", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		return os.NewSyscallError("setresuid", errno)
	}
	return nil
}

func enter(path string, flag int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, flag); err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	return nil
}

// Shift mounts what is at from on to, read-only, with owners as the user namespace pinned at users sees them: root's
// files belong to the root in there.
func Shift(from, to, users string) error {
	ns, err := unix.Open(users, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("shift owners of %s: %w", from, err)
	}
	defer unix.Close(ns)
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("shift owners of %s: %w", from, err)
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY, Userns_fd: uint64(ns)}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("shift owners of %s: this file system or kernel has no idmapped mounts: %w", from, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("shift owners of %s: %w", from, err)
	}
	return nil
}

// CanShift reports whether user namespaces can be had, and file systems with the owners that they need: since Linux 6.3
// also tmpfs, where tokens and secrets are, has idmapped mounts.
func CanShift() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); n != 2 || major < 6 || major == 6 && minor < 3 {
		return false
	}
	limit, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	return err == nil && string(limit) != "0\n"
}
