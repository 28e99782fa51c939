package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
	"minato.dev/minato/internal/run"
)

// Namespaces says which namespaces a pod has of its own, and what is set in them before anything runs there.
type Namespaces struct {
	Net, IPC, UTS bool
	User          *Users            // a user namespace of its own, to which the others then belong
	Hostname      string            // needs UTS
	Sysctls       map[string]string // as sysctl(8) writes the names; each must belong to a namespace that is asked for
}

// kind is one namespace: its file under /proc/<pid>/ns, which is the pin's name too, and its clone flag.
type kind struct {
	name string
	flag int
}

func (n Namespaces) kinds() []kind {
	var ks []kind
	if n.User != nil {
		ks = append(ks, kind{"user", unix.CLONE_NEWUSER})
	}
	if n.Net {
		ks = append(ks, kind{"net", unix.CLONE_NEWNET})
	}
	if n.IPC {
		ks = append(ks, kind{"ipc", unix.CLONE_NEWIPC})
	}
	if n.UTS {
		ks = append(ks, kind{"uts", unix.CLONE_NEWUTS})
	}
	return ks
}

// Make pins the namespaces as <dir>/net, <dir>/ipc and <dir>/uts. Where all of them are there nothing is done; where
// some are, they are half made and made anew.
func (n Namespaces) Make(ctx context.Context, dir string) error {
	missing := false
	for _, k := range n.kinds() {
		missing = missing || !Pinned(filepath.Join(dir, k.name))
	}
	if !missing {
		return nil
	}
	if err := Drop(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("pin namespaces: %w", err)
	}
	if n.User != nil {
		return n.makeOwned(ctx, dir)
	}
	return onLostThread(ctx, func() error { return n.makeHere(dir) })
}

// makeHere moves the calling thread into new namespaces and pins them; the thread cannot be used for anything else.
func (n Namespaces) makeHere(dir string) error {
	flags := 0
	for _, k := range n.kinds() {
		flags |= k.flag
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("pin namespaces: unshare: %w", err)
	}
	if err := n.setUp(); err != nil {
		return err
	}
	for _, k := range n.kinds() {
		if err := pinFile("/proc/thread-self/ns/"+k.name, filepath.Join(dir, k.name)); err != nil {
			return err
		}
	}
	return nil
}

// setUp sets in the calling thread's namespaces what is set before anything runs there.
func (n Namespaces) setUp() error {
	if n.UTS && n.Hostname != "" {
		if err := unix.Sethostname([]byte(n.Hostname)); err != nil {
			return fmt.Errorf("pin namespaces: hostname %q: %w", n.Hostname, err)
		}
	}
	if n.User == nil {
		return writeSysctls(n.Sysctls, every)
	}
	// The kernel lets those of the network be written by whoever has power over it, and those of ipc only by its root.
	if err := writeSysctls(n.Sysctls, func(path string) bool { return !ofIPC(path) }); err != nil {
		return err
	}
	if err := n.User.becomeRoot(); err != nil {
		return err
	}
	return writeSysctls(n.Sysctls, ofIPC)
}

func every(string) bool { return true }

// AfterLinks sets the sysctls that belong to one network interface, which must exist by then.
func (n Namespaces) AfterLinks(ctx context.Context, dir string) error {
	late := false
	for name := range n.Sysctls {
		late = late || ofInterface(sysctlPath(name))
	}
	if !late {
		return nil
	}
	return InNetwork(ctx, filepath.Join(dir, "net"), func() error { return writeLateSysctls(n.Sysctls) })
}

func pinFile(ns, target string) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o400)
	if err != nil {
		return fmt.Errorf("pin namespaces: %w", err)
	}
	f.Close()
	if err := unix.Mount(ns, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin namespaces: bind %s: %w", filepath.Base(target), err)
	}
	return nil
}

// Pinned reports whether path holds a namespace.
func Pinned(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// Drop releases the pins in dir, and with the last process the namespaces. It may be called without Make.
func Drop(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop pins: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := Unmount(path); err != nil {
			return fmt.Errorf("drop pins: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("drop pins: %w", err)
		}
	}
	return os.Remove(dir)
}

// InNetwork runs f on a thread of its own in the network namespace at path.
func InNetwork(ctx context.Context, path string, f func() error) error {
	return onLostThread(ctx, func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("enter network %s: %w", path, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network %s: %w", path, err)
		}
		return f()
	})
}

// onLostThread runs f on a thread that ends with it: one that has changed namespaces must never serve other goroutines.
// The process's first thread cannot end, and stands for the process under /proc/self; where the goroutine lands on it,
// it holds it while another goroutine, which then gets another thread, runs f.
func onLostThread(ctx context.Context, f func() error) error {
	var failed error
	err := run.With(ctx, func(s *run.Scope) error {
		s.Go("thread", func(ctx context.Context) error {
			runtime.LockOSThread() // and never unlock: the runtime ends the thread with the goroutine
			if unix.Gettid() == unix.Getpid() {
				defer runtime.UnlockOSThread()
				failed = onLostThread(ctx, f)
				return nil
			}
			failed = f()
			return nil
		})
		return nil
	})
	return errors.Join(err, failed)
}

// sysctlPath turns a sysctl's name into its path below /proc/sys. Names are written with dots, where a slash stands for
// a dot inside a part (net.ipv4.conf.eth0/1.rp_filter), or with slashes.
func sysctlPath(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return name
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

// ofInterface reports whether the sysctl at path belongs to one interface.
func ofInterface(path string) bool {
	f := strings.Split(path, "/")
	if len(f) < 5 || f[0] != "net" || f[2] != "conf" && f[2] != "neigh" {
		return false
	}
	return f[3] != "all" && f[3] != "default" && f[3] != "lo"
}

// writeSysctls sets those that want says of their path, except for those of an interface.
func writeSysctls(all map[string]string, want func(path string) bool) error {
	return writeThose(all, func(path string) bool { return !ofInterface(path) && want(path) })
}

// writeLateSysctls sets those of interfaces.
func writeLateSysctls(all map[string]string) error { return writeThose(all, ofInterface) }

func writeThose(all map[string]string, want func(path string) bool) error {
	for name, value := range all {
		path := sysctlPath(name)
		if !want(path) {
			continue
		}
		if err := os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0); err != nil {
			return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
		}
	}
	return nil
}

// CheckSysctls refuses names that are not of a namespace that the pod has of its own, and so would change the node.
func (n Namespaces) CheckSysctls() error {
	for name := range n.Sysctls {
		p := sysctlPath(name)
		if filepath.Clean("/"+p) != "/"+p {
			return fmt.Errorf("sysctl %q: not a name", name)
		}
		switch {
		case strings.HasPrefix(p, "net/"):
			if !n.Net {
				return fmt.Errorf("sysctl %q belongs to the network namespace, and the pod uses the node's", name)
			}
		case ofIPC(p):
			if !n.IPC {
				return fmt.Errorf("sysctl %q belongs to the ipc namespace, and the pod uses the node's", name)
			}
		case p == "kernel/domainname":
			if !n.UTS {
				return fmt.Errorf("sysctl %q belongs to the uts namespace, and the pod uses the node's", name)
			}
		default:
			return fmt.Errorf("sysctl %q is not of a pod's namespaces: it would change the whole node", name)
		}
	}
	return nil
}

func ofIPC(path string) bool {
	if strings.HasPrefix(path, "fs/mqueue/") {
		return true
	}
	switch path {
	case "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced":
		return true
	}
	return false
}
