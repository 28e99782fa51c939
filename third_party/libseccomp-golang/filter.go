package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
)

// A VersionError says that the library or kernel is too old for a request; this package has none.
type VersionError struct{ op string }

func (e *VersionError) Error() string { return "seccomp: not supported: " + e.op }

// GetAPI returns the level of the kernel interface that the callers may use.
func GetAPI() (uint, error) { return 7, nil }

// GetLibraryVersion returns the version of the library whose interface this is.
func GetLibraryVersion() (major, minor, micro uint) { return 2, 6, 0 }

// A ScmpFilter is a profile under construction.
type ScmpFilter struct {
	fallback            ScmpAction
	archs               []ScmpArch
	rules               map[int][]rule // by index in calls
	log, ssb, kill, nnp bool
	byNumber            map[ScmpSyscall]int
}

// A rule is an action on the calls that fulfil all conditions.
type rule struct {
	action ScmpAction
	when   []ScmpCondition
}

// NewFilter returns a filter for the native architecture that does defaultAction where no rule matches.
func NewFilter(defaultAction ScmpAction) (*ScmpFilter, error) {
	if !defaultAction.valid() {
		return nil, fmt.Errorf("seccomp: invalid default action %#x", uint32(defaultAction))
	}
	native, err := GetNativeArch()
	if err != nil {
		return nil, err
	}
	return &ScmpFilter{fallback: defaultAction, archs: []ScmpArch{native}, rules: map[int][]rule{}, nnp: true}, nil
}

// AddArch makes the filter judge the calls of another architecture. Calls of architectures that are not added are
// killed.
func (f *ScmpFilter) AddArch(arch ScmpArch) error {
	if arch == ArchNative {
		return nil
	}
	if arch.column() < 0 || auditArch(arch) == 0 {
		return fmt.Errorf("seccomp: architecture %v is not supported", arch)
	}
	if !slices.Contains(f.archs, arch) {
		f.archs = append(f.archs, arch)
	}
	return nil
}

// AddRule sets the action for a call whatever its arguments.
func (f *ScmpFilter) AddRule(n ScmpSyscall, action ScmpAction) error {
	return f.AddRuleConditional(n, action, nil)
}

// AddRuleConditional sets the action for calls whose arguments fulfil all conditions.
func (f *ScmpFilter) AddRuleConditional(n ScmpSyscall, action ScmpAction, when []ScmpCondition) error {
	if !action.valid() {
		return fmt.Errorf("seccomp: invalid action %#x", uint32(action))
	}
	i, ok := f.row(n)
	if !ok {
		return fmt.Errorf("syscall %d: %w", n, ErrSyscallDoesNotExist)
	}
	old := f.rules[i]
	unconditional := len(old) == 1 && len(old[0].when) == 0
	switch {
	case unconditional && len(when) == 0 && old[0].action != action:
		return fmt.Errorf("seccomp: syscall %s already has another action", calls[i].name)
	case unconditional:
	case len(when) == 0:
		f.rules[i] = []rule{{action: action}}
	default:
		f.rules[i] = append(old, rule{action, slices.Clone(when)})
	}
	return nil
}

func (f *ScmpFilter) row(n ScmpSyscall) (int, bool) {
	if n <= foreign {
		return row(n, 0)
	}
	if f.byNumber == nil {
		f.byNumber = make(map[ScmpSyscall]int, len(calls))
		col := ArchNative.column()
		for i := range calls {
			if m := calls[i].number[col]; m >= 0 {
				if _, twice := f.byNumber[ScmpSyscall(m)]; !twice {
					f.byNumber[ScmpSyscall(m)] = i
				}
			}
		}
	}
	i, ok := f.byNumber[n]
	return i, ok
}

// SetOptimize is accepted; the program is always a balanced tree.
func (f *ScmpFilter) SetOptimize(int) error { return nil }

// SetLogBit and the like set and get the flags with which the caller will load the program.
func (f *ScmpFilter) SetLogBit(on bool) error { f.log = on; return nil }

// GetLogBit see SetLogBit.
func (f *ScmpFilter) GetLogBit() (bool, error) { return f.log, nil }

// SetSSB sets whether speculative store bypass stays allowed.
func (f *ScmpFilter) SetSSB(on bool) error { f.ssb = on; return nil }

// GetSSB see SetSSB.
func (f *ScmpFilter) GetSSB() (bool, error) { return f.ssb, nil }

// SetWaitKill sets whether a notified call waits killably.
func (f *ScmpFilter) SetWaitKill(on bool) error { f.kill = on; return nil }

// GetWaitKill see SetWaitKill.
func (f *ScmpFilter) GetWaitKill() (bool, error) { return f.kill, nil }

// SetNoNewPrivsBit sets whether loading shall set no_new_privs first.
func (f *ScmpFilter) SetNoNewPrivsBit(on bool) error { f.nnp = on; return nil }

// GetNoNewPrivsBit see SetNoNewPrivsBit.
func (f *ScmpFilter) GetNoNewPrivsBit() (bool, error) { return f.nnp, nil }

// maxProgram is the kernel's limit.
const maxProgram = 4096

// ExportBPF writes the program, as the kernel takes it, to file.
func (f *ScmpFilter) ExportBPF(file *os.File) error {
	program := f.compile()
	if len(program) > maxProgram {
		return errors.New("seccomp: the profile is too large for one program")
	}
	out := make([]byte, 0, 8*len(program))
	for _, i := range program {
		out = binary.NativeEndian.AppendUint16(out, i.code)
		out = append(out, i.jt, i.jf)
		out = binary.NativeEndian.AppendUint32(out, i.k)
	}
	_, err := file.Write(out)
	return err
}

// Release is accepted; the garbage collector does the work.
func (f *ScmpFilter) Release() {}

// IsValid reports whether the filter was made by NewFilter.
func (f *ScmpFilter) IsValid() bool { return f.rules != nil }
