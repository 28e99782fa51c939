package jail

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"testing"

	profiles "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
)

var seccompOps = map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
	specs.OpNotEqual: libseccomp.CompareNotEqual, specs.OpLessThan: libseccomp.CompareLess,
	specs.OpLessEqual: libseccomp.CompareLessOrEqual, specs.OpEqualTo: libseccomp.CompareEqual,
	specs.OpGreaterEqual: libseccomp.CompareGreaterEqual, specs.OpGreaterThan: libseccomp.CompareGreater,
	specs.OpMaskedEqual: libseccomp.CompareMaskedEqual,
}

var scmpArchs = map[specs.Arch]string{specs.ArchX86_64: "amd64", specs.ArchX86: "x86", specs.ArchX32: "x32"}

func action(t *testing.T, a specs.LinuxSeccompAction, errno *uint) libseccomp.ScmpAction {
	t.Helper()
	switch a {
	case specs.ActAllow:
		return libseccomp.ActAllow
	case specs.ActErrno:
		code := uint(1)
		if errno != nil {
			code = *errno
		}
		return libseccomp.ActErrno.SetReturnCode(int16(code))
	case specs.ActKillProcess:
		return libseccomp.ActKillProcess
	}
	t.Fatalf("action %s", a)
	return 0
}

// compileProfile does what libcontainer does with a profile, and returns a machine that runs the program.
func compileProfile(t *testing.T, p *specs.LinuxSeccomp) (*bpf.VM, int) {
	t.Helper()
	f, err := libseccomp.NewFilter(action(t, p.DefaultAction, p.DefaultErrnoRet))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Architectures {
		arch, err := libseccomp.GetArchFromString(scmpArchs[a])
		if err != nil {
			t.Fatal(err)
		}
		if err := f.AddArch(arch); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range p.Syscalls {
		act := action(t, s.Action, s.ErrnoRet)
		var when []libseccomp.ScmpCondition
		for _, a := range s.Args {
			c, err := libseccomp.MakeCondition(a.Index, seccompOps[a.Op], a.Value, a.ValueTwo)
			if err != nil {
				t.Fatal(err)
			}
			when = append(when, c)
		}
		for _, name := range s.Names {
			n, err := libseccomp.GetSyscallFromName(name)
			if err != nil || act == action(t, p.DefaultAction, p.DefaultErrnoRet) {
				continue
			}
			if err := f.AddRuleConditional(n, act, when); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return machine(t, f)
}

func machine(t *testing.T, f *libseccomp.ScmpFilter) (*bpf.VM, int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := f.ExportBPF(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var raw []bpf.RawInstruction
	for ; len(b) > 0; b = b[8:] {
		raw = append(raw, bpf.RawInstruction{Op: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])})
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program has instructions of no meaning")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm, len(program)
}

const (
	auditX86   = 0x40000003
	auditAMD64 = 0xc000003e
)

// judge runs the program on one call. The machine of x/net reads words in network order.
func judge(t *testing.T, vm *bpf.VM, arch, number uint32, args [6]uint64) libseccomp.ScmpAction {
	t.Helper()
	var b bytes.Buffer
	for _, w := range []uint32{number, arch, 0, 0} {
		binary.Write(&b, binary.BigEndian, w)
	}
	for _, a := range args {
		binary.Write(&b, binary.BigEndian, []uint32{uint32(a), uint32(a >> 32)})
	}
	n, err := vm.Run(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return libseccomp.ScmpAction(uint32(n))
}

// meaning is the profile read by a plain loop: what the compiled program must agree with.
func meaning(t *testing.T, p *specs.LinuxSeccomp, arch libseccomp.ScmpArch, number uint32, args [6]uint64) libseccomp.ScmpAction {
	fallback := action(t, p.DefaultAction, p.DefaultErrnoRet)
	result, found := fallback, false
	for _, s := range p.Syscalls {
		act := action(t, s.Action, s.ErrnoRet)
		if act == fallback || !slices.ContainsFunc(s.Names, func(name string) bool {
			n, err := libseccomp.GetSyscallFromNameByArch(name, arch)
			return err == nil && uint32(n) == number
		}) {
			continue
		}
		if len(s.Args) == 0 {
			return act
		}
		if !found && holds(s.Args, arch, args) {
			result, found = act, true
		}
	}
	return result
}

func holds(conditions []specs.LinuxSeccompArg, arch libseccomp.ScmpArch, args [6]uint64) bool {
	for _, c := range conditions {
		a, v, w := args[c.Index], c.Value, c.ValueTwo
		if arch != libseccomp.ArchAMD64 {
			a, v, w = uint64(uint32(a)), uint64(uint32(v)), uint64(uint32(w))
		}
		ok := map[specs.LinuxSeccompOperator]bool{
			specs.OpNotEqual: a != v, specs.OpLessThan: a < v, specs.OpLessEqual: a <= v, specs.OpEqualTo: a == v,
			specs.OpGreaterEqual: a >= v, specs.OpGreaterThan: a > v, specs.OpMaskedEqual: a&v == w&v,
		}[c.Op]
		if !ok {
			return false
		}
	}
	return true
}

// values are arguments at and around every number that the profile's conditions name.
func values(p *specs.LinuxSeccomp) []uint64 {
	out := []uint64{0, 1, 40, 0xffffffff, 1 << 32, 1<<32 | 40, ^uint64(0)}
	for _, s := range p.Syscalls {
		for _, a := range s.Args {
			out = append(out, a.Value-1, a.Value, a.Value+1, a.Value|1<<40, a.ValueTwo, ^a.Value)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func checkProfile(t *testing.T, p *specs.LinuxSeccomp) {
	t.Helper()
	vm, size := compileProfile(t, p)
	t.Logf("%d instructions", size)
	vals := values(p)
	for _, c := range []struct {
		audit uint32
		arch  libseccomp.ScmpArch
		base  uint32
	}{{auditAMD64, libseccomp.ArchAMD64, 0}, {auditAMD64, libseccomp.ArchX32, 1 << 30}, {auditX86, libseccomp.ArchX86, 0}} {
		for n := range uint32(700) {
			conditional := false
			for _, s := range p.Syscalls {
				conditional = conditional || len(s.Args) > 0 && slices.ContainsFunc(s.Names, func(name string) bool {
					m, err := libseccomp.GetSyscallFromNameByArch(name, c.arch)
					return err == nil && uint32(m) == c.base+n
				})
			}
			tries := vals[:2]
			if conditional {
				tries = vals
			}
			for i := range 6 {
				for _, v := range tries {
					var args [6]uint64
					args[i] = v
					got, want := judge(t, vm, c.audit, c.base+n, args), meaning(t, p, c.arch, c.base+n, args)
					if got != want {
						t.Fatalf("%v call %d args %x: %#x, want %#x", c.arch, n, args, got, want)
					}
				}
			}
		}
	}
	for _, bad := range []uint32{0, 0xc00000b7, 0x40000028, 0xffffffff} {
		if got := judge(t, vm, bad, 0, [6]uint64{}); got != libseccomp.ActKillThread {
			t.Errorf("audit architecture %#x: %#x", bad, got)
		}
	}
}

func TestSeccompDefaultProfile(t *testing.T) {
	for _, caps := range [][]string{nil, {"CAP_CHOWN"}, {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"}} {
		p, err := profiles.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}})
		if err != nil {
			t.Fatal(err)
		}
		checkProfile(t, p)
	}
}

// TestSeccompComparisons puts every comparison on several arguments of calls.
func TestSeccompComparisons(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}}
	names := []string{"read", "write", "open", "close", "stat", "fstat", "lseek", "mmap", "ioctl", "access", "pipe", "dup", "nanosleep", "fork"}
	i := 0
	for op := range seccompOps {
		for _, v := range []uint64{0, 7, 0xffffffff, 1 << 32, 5<<32 | 3} {
			for arg := range uint(3) {
				p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{names[i%len(names)]}, Action: specs.ActAllow,
					Args: []specs.LinuxSeccompArg{{Index: arg, Op: op, Value: v, ValueTwo: v & 0x100000005}}})
				i++
			}
		}
	}
	p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"getpid"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
		{Index: 0, Op: specs.OpGreaterThan, Value: 7}, {Index: 1, Op: specs.OpLessEqual, Value: 1 << 32}, {Index: 2, Op: specs.OpNotEqual, Value: 40}}})
	checkProfile(t, p)
}

// TestSeccompSparse makes jumps longer than a conditional jump reaches.
func TestSeccompSparse(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}}
	for n := 0; n < 330; n += 2 {
		name := nativeName(n)
		if name == "" {
			continue
		}
		errno := uint(n%100 + 1)
		s := specs.LinuxSyscall{Names: []string{name}, Action: specs.ActErrno, ErrnoRet: &errno}
		if n%3 == 0 && name != "socket" {
			s.Args = []specs.LinuxSeccompArg{{Index: uint(n % 6), Op: specs.OpGreaterEqual, Value: uint64(n) << 30}}
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	vm, size := compileProfile(t, p)
	if size < 1000 {
		t.Errorf("only %d instructions: no long jumps", size)
	}
	for n := range uint32(400) {
		for _, v := range []uint64{0, uint64(n) << 30, ^uint64(0)} {
			args := [6]uint64{v, v, v, v, v, v}
			if got, want := judge(t, vm, auditAMD64, n, args), meaning(t, p, libseccomp.ArchAMD64, n, args); got != want {
				t.Fatalf("call %d args %x: %#x, want %#x", n, v, got, want)
			}
		}
	}
}

var someNames = func() []string {
	p, err := profiles.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_SYS_ADMIN"}}}})
	if err != nil {
		panic(err)
	}
	var all []string
	for _, s := range p.Syscalls {
		all = append(all, s.Names...)
	}
	return all
}()

func nativeName(n int) string {
	for _, name := range someNames {
		if m, err := libseccomp.GetSyscallFromName(name); err == nil && int(m) == n {
			return name
		}
	}
	return ""
}

// TestSeccompMultiplexed: what 32-bit x86 reaches by socketcall and ipc is covered by the rules of the calls behind them.
func TestSeccompMultiplexed(t *testing.T) {
	errno := uint(13)
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86}, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"connect", "shmat"}, Action: specs.ActErrno, ErrnoRet: &errno}}}
	vm, _ := compileProfile(t, p)
	denied := libseccomp.ActErrno.SetReturnCode(13)
	for _, c := range []struct {
		number uint32
		arg    uint64
		want   libseccomp.ScmpAction
	}{{362, 0, denied}, {102, 3, denied}, {102, 2, libseccomp.ActAllow}, {117, 21, denied}, {117, 1<<16 | 21, denied}, {117, 22, libseccomp.ActAllow}} {
		if got := judge(t, vm, auditX86, c.number, [6]uint64{c.arg}); got != c.want {
			t.Errorf("call %d(%d): %#x, want %#x", c.number, c.arg, got, c.want)
		}
	}
}

func TestSeccompX32Refused(t *testing.T) {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	vm, _ := compileProfile(t, p)
	if got := judge(t, vm, auditAMD64, 1<<30|1, [6]uint64{}); got != libseccomp.ActKillThread {
		t.Errorf("x32 call under a filter without x32: %#x", got)
	}
	if got := judge(t, vm, auditX86, 1, [6]uint64{}); got != libseccomp.ActKillThread {
		t.Errorf("x86 call under a filter without x86: %#x", got)
	}
}

func BenchmarkSeccompCompile(b *testing.B) {
	p, err := profiles.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		b.Fatal(err)
	}
	t := &testing.T{}
	for b.Loop() {
		compileProfile(t, p)
	}
}
