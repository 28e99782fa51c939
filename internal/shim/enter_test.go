package shim_test

import (
	order "encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
)

// byLibcontainer makes exec sessions of a container take the long way: a policy that changes nothing.
func byLibcontainer(s *specs.Spec) {
	s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4}
}

// looksAround prints everything that a process has from its parents.
const looksAround = `grep -vE '^(Pid|PPid|Tgid|Ngid|NS|Vm|Hugetlb|Cpus|Mems|voluntary|nonvoluntary|Rss|Threads|SigQ|Speculation|CoreD|THP)' /proc/self/status
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/sessionid
for n in cgroup ipc mnt net pid pid_for_children time user uts; do
  [ "$(readlink /proc/self/ns/$n)" = "$(readlink /proc/1/ns/$n)" ] && echo $n like init || echo $n other than init
done
[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] && echo leads its session
cut -d' ' -f7 /proc/self/stat
env | sort; pwd; readlink /proc/self/root; ls /proc/self/fd
for f in 0 1 2; do stat -L -c '%u %F' /proc/self/fd/$f; done`

// TestEnteringEqualsLibcontainer compares what exec sessions find that go the short way and libcontainer's.
func TestEnteringEqualsLibcontainer(t *testing.T) {
	n := newNode(t)
	ids := func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7, 1001, 12}}
	}
	mkdir := func(dir string, mode os.FileMode, uid int) {
		path := filepath.Join(n.rootfs, dir)
		if err := os.Mkdir(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	mkdir("ours", 0o700, 1000)
	if err := os.WriteFile(filepath.Join(n.rootfs, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000:u:/home/u:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(*specs.Spec)
		req  shim.ExecRequest
	}{
		{name: "as it comes"},
		{name: "user", edit: ids},
		{name: "user without passwd", req: shim.ExecRequest{User: &shim.User{UID: 4000, GID: 5}}},
		{name: "other user", req: shim.ExecRequest{User: &shim.User{UID: 1000, GID: 5, AdditionalGids: []uint32{9}}, Env: []string{"PATH=/bin", "HOME=", "A=1", "A=2"}}},
		{name: "no new privileges", edit: func(s *specs.Spec) { ids(s); s.Process.NoNewPrivileges = true }},
		{name: "no seccomp, all capabilities", edit: func(s *specs.Spec) {
			s.Linux.Seccomp = nil
			own := []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_CHOWN"}
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own}
		}},
		{name: "ambient", edit: func(s *specs.Spec) {
			ids(s)
			own := []string{"CAP_NET_BIND_SERVICE", "CAP_KILL"}
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own, Inheritable: own, Ambient: own[:1]}
		}},
		{name: "none", edit: func(s *specs.Spec) { s.Process.Capabilities = nil }},
		{name: "limits", edit: func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 99}, {Type: "RLIMIT_CORE"}}
			high := 700
			s.Process.OOMScoreAdj = &high
		}},
		{name: "directory", edit: func(s *specs.Spec) { ids(s); s.Process.Cwd = "/ours" }},
		{name: "the host's network and processes", edit: func(s *specs.Spec) { s.Linux.Namespaces = s.Linux.Namespaces[1:2] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found [2]string
			for i, more := range []func(*specs.Spec){func(*specs.Spec) {}, byLibcontainer} {
				r := n.start(func(s *specs.Spec) {
					if c.edit != nil {
						c.edit(s)
					}
					more(s)
				}, "sleep", "1000")
				n.runs(r.ID, "sleep")
				c.req.Args = sh(looksAround)
				out, errs, res := n.execOut(r.ID, c.req, "")
				if res.ExitCode != 0 {
					t.Errorf("%+v", res)
				}
				found[i] = comparable(out+errs, r)
				if err := n.Delete(ctxFor(t), r.ID); err != nil {
					t.Fatal(err)
				}
			}
			if found[0] != found[1] {
				t.Errorf("entered:\n%s\nby libcontainer:\n%s", found[0], found[1])
			}
		})
	}
}

// runs waits until a container's init, which libcontainer has let go, executes its program.
func (n *node) runs(id, program string) {
	n.t.Helper()
	st, err := n.State(ctxFor(n.t), id)
	if err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, program+" runs", func() bool {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", st.Pid))
		return string(comm) == program+"\n"
	})
}

// TestEnteringFailsLikeLibcontainer compares what is said of programs that cannot be run.
func TestEnteringFailsLikeLibcontainer(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	if err := os.WriteFile(filepath.Join(n.rootfs, "text"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	swift, long := n.start(nil, "sleep", "1000"), n.start(byLibcontainer, "sleep", "1000")
	for _, r := range []shim.ExecRequest{
		{Args: []string{"nosuch"}}, {Args: []string{"/nosuch"}}, {Args: []string{"/text"}}, {Args: []string{"/tmp"}}, {Args: []string{"/text/x"}},
		{Args: []string{"true"}, Cwd: "/nosuch"}, {Args: []string{"true"}, Env: []string{"A=1"}}, {Args: []string{""}},
		{Args: []string{"true"}, Env: []string{"oops"}}, {Args: []string{"true"}, Env: []string{"=x"}},
	} {
		var said [2]string
		for i, id := range []string{swift.ID, long.ID} {
			x, err := n.Exec(ctx, id, r, shim.Stdio{})
			if err == nil {
				t.Errorf("%q was run", r.Args)
				_ = x.Close(ctx)
				continue
			}
			said[i] = strings.ReplaceAll(err.Error(), id, "ID")
		}
		if said[0] != said[1] {
			t.Errorf("%+v:\n%s\nby libcontainer:\n%s", r, said[0], said[1])
		}
	}
}

// TestEnteredFilter dumps the seccomp programs of a container's init, whom libcontainer made, and of exec sessions, and
// runs every system call of every way of calling through both.
func TestEnteredFilter(t *testing.T) {
	n, ctx := newNode(t), ctxFor(t)
	errno := uint(38)
	for name, edit := range map[string]func(*specs.Spec){
		"default": nil,
		"kill": func(s *specs.Spec) {
			s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
				{Names: []string{"kexec_load", "nosuchcall"}, Action: specs.ActKillProcess},
				{Names: []string{"mount"}, Action: specs.ActErrno, ErrnoRet: &errno},
				{Names: []string{"socket"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 16, Op: specs.OpEqualTo}, {Index: 0, Value: 17, Op: specs.OpEqualTo}}}}}
		},
		"native only": func(s *specs.Spec) { s.Linux.Seccomp.Architectures = nil; s.Linux.Seccomp.DefaultErrnoRet = &errno },
		"flags":       func(s *specs.Spec) { s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog} },
	} {
		r := n.start(edit, "sleep", "1000")
		st, err := n.State(ctx, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		x, err := n.Exec(ctx, r.ID, shim.ExecRequest{Args: []string{"sleep", "1000"}}, shim.Stdio{})
		if err != nil {
			t.Fatal(err)
		}
		n.runs(r.ID, "sleep")
		a, b := seccompOf(t, st.Pid), seccompOf(t, x.Pid)
		for _, arch := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM} {
			for _, base := range []uint32{0, 1 << 30, 0xf0000} {
				for nr := range uint32(1100) {
					for _, arg := range []uint64{0, 1, 8, 16, 17, 40, 0x10000000, 0x7e020000, 1 << 40} {
						call := callData(base+nr, arch, arg)
						if ours, theirs := judge(t, b, call), judge(t, a, call); ours != theirs {
							t.Fatalf("%s: arch %#x call %d argument %#x: %#x, libcontainer's filter says %#x", name, arch, base+nr, arg, ours, theirs)
						}
					}
				}
			}
		}
	}
}

func judge(t *testing.T, vm *bpf.VM, call []byte) int {
	v, err := vm.Run(call)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// callData is the kernel's seccomp_data, in the byte order of the machine that runs the program, which here is network
// order: all six arguments are arg.
func callData(nr, arch uint32, arg uint64) []byte {
	b := order.BigEndian.AppendUint32(nil, nr)
	b = order.BigEndian.AppendUint32(b, arch)
	b = append(b, make([]byte, 8)...)
	for range 6 {
		b = order.BigEndian.AppendUint32(b, uint32(arg))
		b = order.BigEndian.AppendUint32(b, uint32(arg>>32))
	}
	return b
}

// seccompOf reads the one filter that a process has.
func seccompOf(t *testing.T, pid int) *bpf.VM {
	t.Helper()
	const getFilter = 0x420c // PTRACE_SECCOMP_GET_FILTER
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		t.Fatal(err)
	}
	if err := unix.PtraceInterrupt(pid); err != nil {
		t.Fatal(err)
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		t.Fatal(err)
	}
	filters := make([]unix.SockFilter, 4096)
	count, _, errno := unix.Syscall6(unix.SYS_PTRACE, getFilter, uintptr(pid), 0, uintptr(unsafe.Pointer(&filters[0])), 0, 0)
	if errno != 0 {
		t.Fatalf("filter of %d: %v", pid, errno)
	}
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getFilter, uintptr(pid), 1, 0, 0, 0); errno != syscall.ENOENT {
		t.Errorf("a second filter of %d: %v", pid, errno)
	}
	if err := unix.PtraceDetach(pid); err != nil {
		t.Fatal(err)
	}
	var raw []bpf.RawInstruction
	for _, f := range filters[:count] {
		raw = append(raw, bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K})
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program has instructions of no meaning")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// TestEnteringProgramIsOutOfReach: a container whose program is the file it is entered by cannot write to that.
func TestEnteringProgramIsOutOfReach(t *testing.T) {
	n := newNode(t)
	if err := os.Symlink("/proc/self/exe", filepath.Join(n.rootfs, "bin/trap")); err != nil {
		t.Fatal(err)
	}
	r := n.start(func(s *specs.Spec) {
		s.Linux.Seccomp = nil
		s.Process.Capabilities.Bounding = append([]string{"CAP_SYS_PTRACE"}, defaultCaps...)
		s.Process.Capabilities.Effective, s.Process.Capabilities.Permitted = s.Process.Capabilities.Bounding, s.Process.Capabilities.Bounding
	}, sh(`while :; do for p in /proc/[0-9]*; do
	case "$(readlink $p/exe 2>/dev/null)" in *minato-shim*) echo met; (echo owned > $p/exe) 2>/dev/null && echo WROTE;; esac
done; done`)...)
	for i := range 30 {
		x, err := n.Exec(ctxFor(t), r.ID, shim.ExecRequest{Args: []string{[]string{"trap", "true"}[i%2]}}, shim.Stdio{})
		if err != nil {
			continue
		}
		if _, err := x.Wait(ctxFor(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Signal(ctxFor(t), r.ID, syscall.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	n.wait(r.ID) // a log that is being written may be seen with half a line
	if log := logText(t, r.LogPath); strings.Contains(log, "WROTE") {
		t.Errorf("the container wrote to the program it was entered by: %s", fmt.Sprintf("%.200s", log))
	}
	if _, err := n.Info(ctxFor(t)); err != nil {
		t.Error(err)
	}
}
