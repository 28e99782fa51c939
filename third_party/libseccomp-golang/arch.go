package seccomp

import (
	"fmt"
	"runtime"
	"sort"
	"strings"
)

// A ScmpArch is an architecture whose calls a filter judges.
type ScmpArch uint

// The architectures. Only those of amd64 and arm64 machines can be added to a filter.
const (
	ArchInvalid ScmpArch = iota
	ArchNative
	ArchX86
	ArchAMD64
	ArchX32
	ArchARM
	ArchARM64
	ArchMIPS
	ArchMIPS64
	ArchMIPS64N32
	ArchMIPSEL
	ArchMIPSEL64
	ArchMIPSEL64N32
	ArchPPC
	ArchPPC64
	ArchPPC64LE
	ArchS390
	ArchS390X
	ArchPARISC
	ArchPARISC64
	ArchRISCV64
	ArchLOONGARCH64
	ArchM68K
	ArchSH
	ArchSHEB
)

var archNames = map[string]ScmpArch{
	"native": ArchNative, "x86": ArchX86, "amd64": ArchAMD64, "x86_64": ArchAMD64, "x32": ArchX32, "arm": ArchARM,
	"arm64": ArchARM64, "aarch64": ArchARM64, "mips": ArchMIPS, "mips64": ArchMIPS64, "mips64n32": ArchMIPS64N32,
	"mipsel": ArchMIPSEL, "mipsel64": ArchMIPSEL64, "mipsel64n32": ArchMIPSEL64N32, "ppc": ArchPPC, "ppc64": ArchPPC64,
	"ppc64le": ArchPPC64LE, "s390": ArchS390, "s390x": ArchS390X, "parisc": ArchPARISC, "parisc64": ArchPARISC64,
	"riscv64": ArchRISCV64, "loongarch64": ArchLOONGARCH64, "m68k": ArchM68K, "sh": ArchSH, "sheb": ArchSHEB,
}

// GetArchFromString returns the architecture of a name such as "amd64" or "x86".
func GetArchFromString(name string) (ScmpArch, error) {
	if a, ok := archNames[strings.ToLower(name)]; ok {
		return a, nil
	}
	return ArchInvalid, fmt.Errorf("seccomp: unknown architecture %q", name)
}

// GetNativeArch returns the architecture of this program.
func GetNativeArch() (ScmpArch, error) {
	switch runtime.GOARCH {
	case "amd64":
		return ArchAMD64, nil
	case "arm64":
		return ArchARM64, nil
	}
	return ArchInvalid, fmt.Errorf("seccomp: architecture %s is not supported", runtime.GOARCH)
}

// String returns the architecture's name.
func (a ScmpArch) String() string {
	for name, b := range archNames {
		if a == b && name != "aarch64" && name != "x86_64" {
			return name
		}
	}
	return fmt.Sprintf("arch-%d", uint(a))
}

// A call is one syscall's numbers in the order of the columns.
type call struct {
	name   string
	number [5]int32
}

// column is an architecture's place in call.number, -1 if it has none.
func (a ScmpArch) column() int {
	switch a {
	case ArchNative:
		native, _ := GetNativeArch()
		if native == ArchInvalid {
			return -1
		}
		return native.column()
	case ArchAMD64:
		return 0
	case ArchX86:
		return 1
	case ArchX32:
		return 2
	case ArchARM64:
		return 3
	case ArchARM:
		return 4
	}
	return -1
}

// A ScmpSyscall is a number on the native architecture, or a negative number that stands for a call that only others have.
type ScmpSyscall int32

// foreign numbers are below the errors' range.
const foreign = -10000

// ErrSyscallDoesNotExist is returned for names no architecture knows.
var ErrSyscallDoesNotExist = fmt.Errorf("seccomp: no such syscall")

func index(name string) (int, bool) {
	i := sort.Search(len(calls), func(i int) bool { return calls[i].name >= name })
	return i, i < len(calls) && calls[i].name == name
}

// GetSyscallFromName returns the native number of a call.
func GetSyscallFromName(name string) (ScmpSyscall, error) {
	return GetSyscallFromNameByArch(name, ArchNative)
}

// GetSyscallFromNameByArch returns the number that a call has on an architecture.
func GetSyscallFromNameByArch(name string, arch ScmpArch) (ScmpSyscall, error) {
	i, ok := index(name)
	col := arch.column()
	if !ok || col < 0 {
		return 0, ErrSyscallDoesNotExist
	}
	if n := calls[i].number[col]; n >= 0 {
		return ScmpSyscall(n), nil
	}
	return ScmpSyscall(foreign - i), nil
}

// row finds the call of a number that GetSyscallFromName gave.
func row(n ScmpSyscall, col int) (int, bool) {
	if n <= foreign {
		i := int(foreign - n)
		return i, i < len(calls)
	}
	for i := range calls {
		if calls[i].number[col] == int32(n) {
			return i, true
		}
	}
	return 0, false
}
