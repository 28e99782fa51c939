//go:build cgo

package jail

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runc/libcontainer/system"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// create builds the container and leaves its init waiting at the exec fifo.
func create(_ string, r Request) (Result, error) {
	spec, err := LoadSpec(r.Bundle)
	if err != nil {
		return Result{}, err
	}
	if err := restrictOOMScore(spec.Process); err != nil {
		return Result{}, err
	}
	config, err := libcontainerConfig(r, spec)
	if err != nil {
		return Result{}, err
	}
	delete(config.Hooks, configs.Poststart) // run when the process has begun, see hooks.go
	process, err := newProcess(spec.Process)
	if err != nil {
		return Result{}, err
	}
	process.Init = true
	c, err := libcontainer.Create(r.Root, r.ID, config)
	if err != nil {
		return Result{}, err
	}
	if err := connect(process, r.Terminal); err != nil {
		return Result{}, errors.Join(err, c.Destroy())
	}
	if err := c.Start(process); err != nil {
		_ = c.Destroy() // the shim undoes what is left
		return Result{}, err
	}
	state, err := c.State()
	if err != nil {
		return Result{}, err
	}
	return Result{Pid: state.InitProcessPid, StartTime: state.InitProcessStartTime, CgroupPaths: state.CgroupPaths}, nil
}

func libcontainerConfig(r Request, spec *specs.Spec) (*configs.Config, error) {
	// The converter resolves relative paths against the working directory.
	if err := os.Chdir(r.Bundle); err != nil {
		return nil, err
	}
	return specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: r.ID, Spec: spec})
}

// connect gives the process the helper's streams, or the console socket on descriptor 3.
func connect(p *libcontainer.Process, terminal bool) error {
	if !terminal {
		p.Stdin, p.Stdout, p.Stderr = os.Stdin, os.Stdout, os.Stderr
		return nil
	}
	unix.CloseOnExec(3)
	p.ConsoleSocket = os.NewFile(3, "console")
	if p.ConsoleSocket == nil {
		return errors.New("terminal without a console socket")
	}
	return nil
}

// restrictOOMScore raises the wanted score to our own where we may not lower it: without CAP_SYS_RESOURCE a lower one
// is refused, and a container that is killed a little earlier is better than none.
func restrictOOMScore(p *specs.Process) error {
	if p.OOMScoreAdj == nil {
		p.OOMScoreAdj = new(int) // never inherit the shim's
	}
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("own oom_score_adj: %w", err)
	}
	if *p.OOMScoreAdj >= own {
		return nil
	}
	err = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(*p.OOMScoreAdj)), 0)
	if errors.Is(err, os.ErrPermission) {
		*p.OOMScoreAdj = own
		return nil
	}
	return err
}

func startTime(pid int) (uint64, error) {
	st, err := system.Stat(pid)
	return st.StartTime, err
}
