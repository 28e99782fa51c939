package jail

import specs "github.com/opencontainers/runtime-spec/specs-go"

// merge is the container's own process with what differs for an exec session.
func merge(own *specs.Process, e *ExecProcess) *specs.Process {
	p := *own
	p.Args = e.Args
	if e.Env != nil {
		p.Env = e.Env
	}
	if e.Cwd != "" {
		p.Cwd = e.Cwd
	}
	if e.User != nil {
		p.User = *e.User
	}
	p.ConsoleSize = nil
	if e.Width > 0 && e.Height > 0 {
		p.ConsoleSize = &specs.Box{Width: uint(e.Width), Height: uint(e.Height)}
	}
	return &p
}
