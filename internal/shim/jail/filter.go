package jail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A Filter is a compiled seccomp profile, as the kernel takes it. It means what libcontainer makes of the same profile
// for the container's first process; a test holds the two together.
type Filter struct {
	flags   uint32
	program []byte // sock_filter, 8 bytes each
}

// errUnfit is what a profile or container asks for that only libcontainer does.
var errUnfit = errors.New("not done here")

const noSuchCall = uint32(unix.SECCOMP_RET_ERRNO | unix.ENOSYS)

// CompileFilter compiles a profile.
func CompileFilter(p *specs.LinuxSeccomp) (*Filter, error) {
	flags, err := filterFlags(p)
	if err != nil {
		return nil, err
	}
	byDefault, err := seccompAction(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	f, err := libseccomp.NewFilter(byDefault)
	if err != nil {
		return nil, err
	}
	archs, err := profileArchs(p)
	if err != nil {
		return nil, err
	}
	for _, a := range archs {
		if err := f.AddArch(a); err != nil {
			return nil, err
		}
	}
	for _, s := range p.Syscalls {
		if err := addRules(f, s, byDefault); err != nil {
			return nil, err
		}
	}
	program, err := export(f)
	if err != nil {
		return nil, err
	}
	var unknown []bpf.RawInstruction
	if p.DefaultAction != specs.ActAllow && p.DefaultAction != specs.ActLog && p.DefaultAction != specs.ActTrace {
		if unknown, err = bpf.Assemble(unknownCalls(p, archs)); err != nil {
			return nil, err
		}
	}
	if len(unknown)+len(program)/8 > 4096 {
		return nil, fmt.Errorf("seccomp: the profile needs %d instructions: %w", len(unknown)+len(program)/8, errUnfit)
	}
	return &Filter{flags: flags, program: append(encode(unknown), program...)}, nil
}

// filterFlags are those of the profile; one that names none gets what costs least.
func filterFlags(p *specs.LinuxSeccomp) (flags uint32, err error) {
	if p.ListenerPath != "" {
		return 0, fmt.Errorf("seccomp: a listener: %w", errUnfit)
	}
	if p.Flags == nil {
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil
	}
	for _, f := range p.Flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case "SECCOMP_FILTER_FLAG_TSYNC": // there is one thread
		default:
			return 0, fmt.Errorf("seccomp: flag %s: %w", f, errUnfit)
		}
	}
	return flags, nil
}

func seccompAction(a specs.LinuxSeccompAction, code *uint) (libseccomp.ScmpAction, error) {
	ret := int16(unix.EPERM)
	if code != nil {
		ret = int16(*code)
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return libseccomp.ActKillThread, nil
	case specs.ActKillProcess:
		return libseccomp.ActKillProcess, nil
	case specs.ActErrno:
		return libseccomp.ActErrno.SetReturnCode(ret), nil
	case specs.ActTrap:
		return libseccomp.ActTrap, nil
	case specs.ActAllow:
		return libseccomp.ActAllow, nil
	case specs.ActTrace:
		return libseccomp.ActTrace.SetReturnCode(ret), nil
	case specs.ActLog:
		return libseccomp.ActLog, nil
	}
	return 0, fmt.Errorf("seccomp: action %s: %w", a, errUnfit)
}

var seccompOperators = map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
	specs.OpNotEqual: libseccomp.CompareNotEqual, specs.OpLessThan: libseccomp.CompareLess,
	specs.OpLessEqual: libseccomp.CompareLessOrEqual, specs.OpEqualTo: libseccomp.CompareEqual,
	specs.OpGreaterEqual: libseccomp.CompareGreaterEqual, specs.OpGreaterThan: libseccomp.CompareGreater,
	specs.OpMaskedEqual: libseccomp.CompareMaskedEqual,
}

var seccompArchs = map[specs.Arch]libseccomp.ScmpArch{
	specs.ArchX86: libseccomp.ArchX86, specs.ArchX86_64: libseccomp.ArchAMD64, specs.ArchX32: libseccomp.ArchX32,
	specs.ArchARM: libseccomp.ArchARM, specs.ArchAARCH64: libseccomp.ArchARM64,
}

// profileArchs are the profile's architectures and always the native one.
func profileArchs(p *specs.LinuxSeccomp) ([]libseccomp.ScmpArch, error) {
	native, err := libseccomp.GetNativeArch()
	if err != nil {
		return nil, err
	}
	out := []libseccomp.ScmpArch{native}
	for _, a := range p.Architectures {
		arch, ok := seccompArchs[a]
		if !ok {
			return nil, fmt.Errorf("seccomp: architecture %s: %w", a, errUnfit)
		}
		if !slices.Contains(out, arch) {
			out = append(out, arch)
		}
	}
	return out, nil
}

// addRules adds what the profile says of some system calls. Names that nobody knows are calls of other machines.
func addRules(f *libseccomp.ScmpFilter, s specs.LinuxSyscall, byDefault libseccomp.ScmpAction) error {
	action, err := seccompAction(s.Action, s.ErrnoRet)
	if err != nil || action == byDefault {
		return err
	}
	var when []libseccomp.ScmpCondition
	var seen [6]bool
	twice := false
	for _, a := range s.Args {
		op, ok := seccompOperators[a.Op]
		if !ok || a.Index > 5 {
			return fmt.Errorf("seccomp: condition %s on argument %d: %w", a.Op, a.Index, errUnfit)
		}
		c, err := libseccomp.MakeCondition(a.Index, op, a.Value, a.ValueTwo)
		if err != nil {
			return err
		}
		when, twice, seen[a.Index] = append(when, c), twice || seen[a.Index], true
	}
	rules := [][]libseccomp.ScmpCondition{when}
	if twice { // several conditions on one argument are alternatives
		rules = nil
		for _, c := range when {
			rules = append(rules, []libseccomp.ScmpCondition{c})
		}
	}
	for _, name := range s.Names {
		n, err := libseccomp.GetSyscallFromName(name)
		if err != nil {
			continue
		}
		for _, r := range rules {
			if err := f.AddRuleConditional(n, action, r); err != nil {
				return fmt.Errorf("seccomp: %s: %w", name, err)
			}
		}
	}
	return nil
}

func export(f *libseccomp.ScmpFilter) ([]byte, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if err := f.ExportBPF(file); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// auditArch is the kernel's number of an architecture; x32 is a way of calling of x86-64.
var auditArch = map[libseccomp.ScmpArch]uint32{
	libseccomp.ArchX86: unix.AUDIT_ARCH_I386, libseccomp.ArchAMD64: unix.AUDIT_ARCH_X86_64, libseccomp.ArchX32: unix.AUDIT_ARCH_X86_64,
	libseccomp.ArchARM: unix.AUDIT_ARCH_ARM, libseccomp.ArchARM64: unix.AUDIT_ARCH_AARCH64,
}

const x32Bit = 1 << 30

// unknownCalls is what stands before the profile: calls newer than any that it names do not exist, rather than being
// forbidden, so that programs fall back to older ones.
func unknownCalls(p *specs.LinuxSeccomp, archs []libseccomp.ScmpArch) []bpf.Instruction {
	var sections [][]bpf.Instruction
	for _, arch := range archs {
		last := lastCall(p, arch)
		if last == 0 {
			continue
		}
		section := []bpf.Instruction{bpf.LoadAbsolute{Off: 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: auditArch[arch]}, // to the section's end
			bpf.LoadAbsolute{Off: 0, Size: 4}}
		if auditArch[arch] == unix.AUDIT_ARCH_X86_64 {
			cond := bpf.JumpBitsSet
			if arch == libseccomp.ArchX32 {
				cond = bpf.JumpBitsNotSet
			}
			section = append(section, bpf.JumpIf{Cond: cond, Val: x32Bit})
		}
		section = append(section, bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: last, SkipTrue: 1}, bpf.RetConstant{Val: noSuchCall})
		for i, in := range section {
			if j, ok := in.(bpf.JumpIf); ok && j.SkipTrue == 0 {
				j.SkipTrue = uint8(len(section) - i - 1)
				section[i] = j
			}
		}
		sections = append(sections, section)
	}
	return slices.Concat(sections...)
}

func lastCall(p *specs.LinuxSeccomp, arch libseccomp.ScmpArch) (last uint32) {
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			if n, err := libseccomp.GetSyscallFromNameByArch(name, arch); err == nil && n > 0 {
				last = max(last, uint32(n))
			}
		}
	}
	return last
}

func encode(program []bpf.RawInstruction) (out []byte) {
	for _, i := range program {
		out = binary.NativeEndian.AppendUint16(out, i.Op)
		out = append(out, i.Jt, i.Jf)
		out = binary.NativeEndian.AppendUint32(out, i.K)
	}
	return out
}
