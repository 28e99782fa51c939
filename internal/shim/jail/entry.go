package jail

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ErrUnfit is returned where a container or process needs what only libcontainer does: a user namespace, a security
// label, a terminal, a scheduling policy. Run with the verb "exec" does all of it.
var ErrUnfit = errUnfit

// An Entry is what every entering of one container has in common, read once from its bundle. It is safe for concurrent
// use.
type Entry struct {
	process    *specs.Process // without arguments and capabilities
	caps       capBitsets
	namespaces uint32
	filter     *Filter
	above      map[string]string // cgroups to join where the container has none of its own
}

// Filters keeps compiled profiles, which most containers of a node share. The zero value is ready.
type Filters struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*Filter
}

// maxFilters bounds what a node with many profiles of its own keeps; each is about 10 KB.
const maxFilters = 64

func (f *Filters) of(profile json.RawMessage) (*Filter, error) {
	sum := sha256.Sum256(profile)
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.known[sum]; c != nil {
		return c, nil
	}
	var p specs.LinuxSeccomp
	if err := json.Unmarshal(profile, &p); err != nil {
		return nil, err
	}
	c := &Filter{}
	if p.DefaultAction != "" || len(p.Syscalls) > 0 {
		var err error
		if c, err = CompileFilter(&p); err != nil {
			return nil, err
		}
	}
	if f.known == nil || len(f.known) >= maxFilters {
		f.known = map[[sha256.Size]byte]*Filter{}
	}
	f.known[sum] = c
	return c, nil
}

// namespaceFlags are those that entering knows to join.
var namespaceFlags = map[specs.LinuxNamespaceType]uint32{
	specs.PIDNamespace: unix.CLONE_NEWPID, specs.NetworkNamespace: unix.CLONE_NEWNET, specs.MountNamespace: unix.CLONE_NEWNS,
	specs.IPCNamespace: unix.CLONE_NEWIPC, specs.UTSNamespace: unix.CLONE_NEWUTS, specs.CgroupNamespace: unix.CLONE_NEWCGROUP,
}

// LoadEntry reads the bundle of a container, whose config.json LoadSpec or LoadBundle has accepted before; own are its
// cgroups.
func LoadEntry(bundle string, filters *Filters, own map[string]string) (*Entry, error) {
	b, err := readBundle(bundle)
	if err != nil {
		return nil, err
	}
	if b.Process == nil || b.Linux == nil {
		return nil, fmt.Errorf("%s/config.json: process is gone", bundle)
	}
	e, err := b.entry(filters)
	if err == nil {
		e.above = Above(b.Linux.CgroupsPath, own)
	}
	return e, err
}

// entry is what entering the bundle's container needs.
func (b *Bundle) entry(filters *Filters) (*Entry, error) {
	p, l := b.Process, b.Linux
	if p.ApparmorProfile != "" || p.SelinuxLabel != "" || p.Scheduler != nil || p.IOPriority != nil || p.ExecCPUAffinity != nil ||
		p.User.Umask != nil || l.Personality != nil || l.IntelRdt != nil || l.MemoryPolicy != nil {
		return nil, ErrUnfit
	}
	own := *p
	own.Args, own.Capabilities = nil, nil
	e := &Entry{process: &own, caps: capabilitiesOf(p.Capabilities), filter: &Filter{}}
	for _, ns := range l.Namespaces {
		flag, ok := namespaceFlags[ns.Type]
		if !ok {
			return nil, fmt.Errorf("%s namespace: %w", ns.Type, ErrUnfit)
		}
		e.namespaces |= flag
	}
	var err error
	if len(b.seccomp) > 0 {
		e.filter, err = filters.of(b.seccomp)
	}
	return e, err
}

// Flags and layout of the request, as cmd/minato-shim/enter.c reads it.
const (
	entryMagic = 0x316e746d

	entryNoNewPrivs = 1
	entryKeyring    = 2
	entryUnified    = 4
	entrySetHome    = 8
)

type entryHead struct {
	Magic, Size                                          uint32
	Namespaces, Flags                                    uint32
	UID, GID                                             uint32
	OOMScore                                             int32
	SeccompFlags                                         uint32
	Bounding, Effective, Permitted, Inheritable, Ambient uint64
	Groups, Limits, Filter, Cgroups, Args, Env           uint32
	Joins, Steps, RootPropagation, _                     uint32
}

// Request returns, as an open file, what "minato-shim enter DIR" reads on descriptor 3: run x in the container id, whose
// cgroups are the given directories by controller. Descriptor 4 is a lock that is to end with the helper, 5 a pidfd of
// the container's first process.
func (e *Entry) Request(id string, cgroups map[string]string, x *ExecProcess) (*os.File, error) {
	data, err := e.encode(id, cgroups, merge(e.process, x), nil)
	if err != nil {
		return nil, err
	}
	return inMemory(data)
}

func inMemory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("entry", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "entry")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// encode makes a request to run p in the container, which the plan, if there is one, makes first.
func (e *Entry) encode(id string, cgroups map[string]string, p *specs.Process, made *plan) ([]byte, error) {
	env, flags, err := environment(p.Env)
	if err != nil {
		return nil, err
	}
	limits, err := rlimits(p.Rlimits)
	if err != nil {
		return nil, err
	}
	if p.NoNewPrivileges {
		flags |= entryNoNewPrivs
	}
	if _, unified := cgroups[""]; unified {
		flags |= entryUnified
	}
	procs := map[string]bool{}
	for controller, dir := range cgroups {
		procs[filepath.Join(dir, joinFile(controller))] = true
	}
	for controller, dir := range e.above {
		if cgroups[controller] == "" {
			procs[filepath.Join(dir, joinFile(controller))] = true
		}
	}
	h := entryHead{Magic: entryMagic, Namespaces: e.namespaces, Flags: flags | entryKeyring, UID: p.User.UID, GID: p.User.GID,
		SeccompFlags: e.filter.flags, Groups: uint32(len(p.User.AdditionalGids)), Limits: uint32(len(limits)),
		Filter: uint32(len(e.filter.program) / 8), Cgroups: uint32(len(procs)), Args: uint32(len(p.Args)), Env: uint32(len(env))}
	if p.OOMScoreAdj != nil {
		h.OOMScore = int32(*p.OOMScoreAdj)
	}
	c := e.caps
	h.Bounding, h.Effective, h.Permitted, h.Inheritable, h.Ambient = c.bounding, c.effective, c.permitted, c.inheritable, c.ambient
	var body []byte
	for _, g := range p.User.AdditionalGids {
		body = binary.NativeEndian.AppendUint32(body, g)
	}
	body = append(body, make([]byte, len(body)%8)...)
	for _, l := range limits {
		for _, v := range []uint64{uint64(l.Type), l.Soft, l.Hard} {
			body = binary.NativeEndian.AppendUint64(body, v)
		}
	}
	body = append(body, e.filter.program...)
	strs := slices.Concat([]string{id, p.Cwd}, slices.Sorted(maps.Keys(procs)), p.Args, env)
	if made != nil {
		h.Namespaces, h.Joins, h.Steps, h.RootPropagation = made.namespaces, uint32(len(made.joins)), uint32(len(made.steps)), made.rootPropagation
		for _, s := range made.steps {
			if body, err = binary.Append(body, binary.NativeEndian, s.fixed); err != nil {
				return nil, err
			}
		}
		strs = slices.Concat(strs, []string{made.root, made.fifo}, made.joins, made.strings())
	}
	for _, s := range strs {
		if strings.IndexByte(s, 0) >= 0 {
			return nil, fmt.Errorf("%q: contains a zero byte", s)
		}
		body = append(append(body, s...), 0)
	}
	h.Size = uint32(binary.Size(h) + len(body))
	out, err := binary.Append(nil, binary.NativeEndian, h)
	return append(out, body...), err
}

// joinFile is the file of a cgroup that a process with one thread joins it by. To move whole processes the kernel stops all
// forks and exits of the machine first, and waits up to some 20 ms for that; to move the writing thread alone it need not.
// Version 2 has no such file that would do.
func joinFile(controller string) string {
	if controller == "" {
		return "cgroup.procs"
	}
	return "tasks"
}

// environment keeps the last value of each name. Whether HOME is still to be found is in the flags.
func environment(env []string) (out []string, flags uint32, err error) {
	flags = entrySetHome
	seen := make(map[string]bool, len(env))
	for _, kv := range slices.Backward(env) {
		name, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok:
			return nil, 0, errors.New("unable to start container process: invalid environment variable: missing '='")
		case name == "":
			return nil, 0, errors.New("unable to start container process: invalid environment variable: name cannot be empty")
		case seen[name]:
			continue
		}
		seen[name] = true
		if name == "HOME" {
			if value == "" {
				continue
			}
			flags = 0
		}
		out = append(out, kv)
	}
	slices.Reverse(out)
	return out, flags, nil
}

// capNames are the kernel's capabilities by number.
var capNames = []string{"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
	"LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE"}

// capBitsets are capabilities as bits: the names of one container's take 2 KB.
type capBitsets struct{ bounding, effective, permitted, inheritable, ambient uint64 }

func capabilitiesOf(c *specs.LinuxCapabilities) (out capBitsets) {
	if c == nil {
		return out
	}
	return capBitsets{capBits(c.Bounding), capBits(c.Effective), capBits(c.Permitted), capBits(c.Inheritable), capBits(c.Ambient)}
}

// capBits passes over names that the kernel may know and we do not, as libcontainer does.
func capBits(names []string) (bits uint64) {
	for _, n := range names {
		if i := slices.Index(capNames, strings.TrimPrefix(n, "CAP_")); i >= 0 {
			bits |= 1 << i
		}
	}
	return bits
}
