//go:build cgo

package jail

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/runc/libcontainer/configs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func afterStart(_ string, r Request) (Result, error) {
	return Result{}, runHooks(r, Poststart, specs.StateRunning)
}

func afterEnd(_ string, r Request) (Result, error) {
	return Result{}, runHooks(r, Poststop, specs.StateStopped)
}

// runHooks tells each hook the container's state. After the end all are run, whatever becomes of one.
func runHooks(r Request, kind string, status specs.ContainerState) error {
	spec, err := LoadSpec(r.Bundle)
	if err != nil || spec.Hooks == nil {
		return err
	}
	state := &specs.State{Version: specs.Version, ID: r.ID, Status: status, Bundle: r.Bundle, Annotations: spec.Annotations}
	list := spec.Hooks.Poststop
	if kind == Poststart {
		list = spec.Hooks.Poststart
		state.Pid = r.Made.Pid
	}
	var errs []error
	for i, h := range list {
		if err := hookOf(h).Run(state); err != nil {
			errs = append(errs, fmt.Errorf("error running %s hook #%d: %w", kind, i, err))
		}
		if len(errs) > 0 && kind == Poststart {
			break
		}
	}
	return errors.Join(errs...)
}

func hookOf(h specs.Hook) configs.CommandHook {
	cmd := &configs.Command{Path: h.Path, Args: h.Args, Env: h.Env}
	if h.Timeout != nil {
		limit := time.Duration(*h.Timeout) * time.Second
		cmd.Timeout = &limit
	}
	return configs.NewCommandHook(cmd)
}
