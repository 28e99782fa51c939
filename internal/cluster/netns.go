package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ownNetns is the network namespace of the calling process.
const ownNetns = "/proc/self/ns/net"

// keepNetns remembers, by a bind mount that a reboot and Down clear, in which network namespace the cluster's links and
// tables are. It refuses a start from another one: what is there could neither be used nor be cleaned up from here.
func (a *assembly) keepNetns() error {
	there, err := sameNetns(a.paths.netns())
	if err != nil {
		return err
	}
	switch there {
	case netnsHere:
		return nil
	case netnsElsewhere:
		return fmt.Errorf("the cluster in %s was last started in another network namespace and its links are still there: stop it with `minato down --data-dir %s` first",
			a.cfg.DataDir, a.cfg.DataDir)
	}
	f, err := os.OpenFile(a.paths.netns(), os.O_CREATE|os.O_RDONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount(ownNetns, a.paths.netns(), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("keep the network namespace at %s: %w", a.paths.netns(), err)
	}
	return nil
}

// netnsPlace says where a kept network namespace is, seen from this process.
type netnsPlace int

const (
	netnsUnknown netnsPlace = iota // none is kept
	netnsHere
	netnsElsewhere
)

// sameNetns compares the namespace kept at path with the process's own.
func sameNetns(path string) (netnsPlace, error) {
	var kept, own unix.Stat_t
	var at unix.Statfs_t
	err := unix.Statfs(path, &at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && at.Type != unix.NSFS_MAGIC {
		return netnsUnknown, nil
	}
	if err != nil {
		return netnsUnknown, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	if err := errors.Join(unix.Stat(path, &kept), unix.Stat(ownNetns, &own)); err != nil {
		return netnsUnknown, fmt.Errorf("compare network namespaces: %w", err)
	}
	if kept.Dev == own.Dev && kept.Ino == own.Ino {
		return netnsHere, nil
	}
	return netnsElsewhere, nil
}

// EnterNetns moves a command to the network namespace of the cluster in a data directory, so that Down finds links and
// tables wherever it is called. Where that is another one than the caller's, the process starts anew in it with the same
// arguments and EnterNetns does not return.
func EnterNetns(data string) error {
	id, err := ReadIdentity(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path := id.paths(data).netns()
	if there, err := sameNetns(path); err != nil || there != netnsElsewhere {
		return err
	}
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	runtime.LockOSThread() // the namespace is the thread's; exec makes this thread the whole process
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the cluster's network namespace: %w", err)
	}
	return fmt.Errorf("start again in the cluster's network namespace: %w", unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}
