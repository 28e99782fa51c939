//go:build cgo

package jail

import (
	"fmt"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// newProcess turns the OCI process into libcontainer's.
func newProcess(p *specs.Process) (*libcontainer.Process, error) {
	limits, err := rlimits(p.Rlimits)
	if err != nil {
		return nil, err
	}
	affinity, err := configs.ConvertCPUAffinity(p.ExecCPUAffinity)
	if err != nil {
		return nil, fmt.Errorf("process.execCPUAffinity: %w", err)
	}
	noNewPrivileges := p.NoNewPrivileges
	out := &libcontainer.Process{
		Args: p.Args, Env: p.Env, Cwd: p.Cwd,
		UID: int(p.User.UID), GID: int(p.User.GID),
		Capabilities:    capabilities(p.Capabilities),
		NoNewPrivileges: &noNewPrivileges,
		AppArmorProfile: p.ApparmorProfile,
		Label:           p.SelinuxLabel,
		Rlimits:         limits,
		Scheduler:       p.Scheduler,
		IOPriority:      p.IOPriority,
		CPUAffinity:     affinity,
	}
	for _, g := range p.User.AdditionalGids {
		out.AdditionalGroups = append(out.AdditionalGroups, int(g))
	}
	if size := p.ConsoleSize; size != nil {
		out.ConsoleWidth, out.ConsoleHeight = uint16(size.Width), uint16(size.Height)
	}
	return out, nil
}

// capabilities of a process that names none is the empty set, not the caller's.
func capabilities(c *specs.LinuxCapabilities) *configs.Capabilities {
	if c == nil {
		return &configs.Capabilities{}
	}
	return &configs.Capabilities{
		Bounding: c.Bounding, Effective: c.Effective, Inheritable: c.Inheritable,
		Permitted: c.Permitted, Ambient: c.Ambient,
	}
}

var rlimitNumber = map[string]int{
	"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA,
	"RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS,
	"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
	"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
}

func rlimits(in []specs.POSIXRlimit) ([]configs.Rlimit, error) {
	var out []configs.Rlimit
	for i, l := range in {
		n, ok := rlimitNumber[l.Type]
		if !ok {
			return nil, fmt.Errorf("process.rlimits[%d].type: unknown limit %q", i, l.Type)
		}
		out = append(out, configs.Rlimit{Type: n, Hard: l.Hard, Soft: l.Soft})
	}
	return out, nil
}
