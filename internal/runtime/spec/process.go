package spec

import (
	"errors"
	"path/filepath"
)

// process sets what is executed and where, with Kubernetes' rule: a command replaces the image's entrypoint and its
// default arguments; arguments alone replace the image's arguments.
func (b *build) process() error {
	c, p := b.Container, b.spec.Process
	command, args := c.GetCommand(), c.GetArgs()
	if len(command) == 0 {
		command = b.Image.Entrypoint
		if len(args) == 0 {
			args = b.Image.Cmd
		}
	}
	p.Args = append(append([]string{}, command...), args...)
	if len(p.Args) == 0 {
		return errors.New("no command specified: neither the container nor its image says what to run")
	}
	p.Cwd = c.GetWorkingDir()
	if p.Cwd == "" {
		p.Cwd = b.Image.WorkingDir
	}
	p.Cwd = filepath.Join("/", p.Cwd)
	p.Terminal = c.GetTty()
	p.NoNewPrivileges = b.sec.GetNoNewPrivs()
	return b.oomScore()
}

// oomScore asks for the score that the client wants. Without CAP_SYS_RESOURCE nothing can go below our own, and then
// ours is the nearest.
func (b *build) oomScore() error {
	score := int(b.res.GetOomScoreAdj())
	if score < b.Node.OOMScoreAdj && !b.Node.has("CAP_SYS_RESOURCE") {
		score = b.Node.OOMScoreAdj
	}
	b.spec.Process.OOMScoreAdj = &score
	return nil
}
