// Package seccomp compiles seccomp profiles to classic BPF in plain Go, behind the part of the libseccomp Go binding's
// API that libcontainer uses.
//
// It stands in for that binding by a replace line in go.mod. The reason is time: the C library needs about 20 ms of CPU
// for the default profile of a container on three architectures, at every container start; this package needs well
// under one. It differs from the C library in these points:
//   - Architectures: amd64 with x86 and x32, arm64 with arm. Others are refused by AddArch.
//   - The program is a balanced search over ranges of syscall numbers, one per architecture.
//   - Of several conditional rules for one syscall the first that was added and matches decides. A rule without
//     conditions replaces conditional ones of the same syscall, whatever the order, as in the C library.
//   - An unconditional rule for a call that 32-bit x86 can also reach through socketcall or ipc covers that way too;
//     a conditional one cannot (the arguments are behind a pointer), so it leaves socketcall and ipc to their own rules.
//
// A ScmpFilter is not safe for concurrent use; everything else is. The tests are in internal/shim/jail: every syscall
// and argument of the default profile is run through a BPF machine and compared with the profile's meaning.
package seccomp

//go:generate go run generate.go
