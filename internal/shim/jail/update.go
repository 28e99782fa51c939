//go:build cgo

package jail

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// update sets new limits on top of those that the bundle and earlier updates gave.
func update(dir string, r Request) (Result, error) {
	spec, err := LoadSpec(r.Bundle)
	if err != nil {
		return Result{}, err
	}
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &specs.LinuxResources{}
	}
	earlier := filepath.Join(dir, resourcesFile)
	if err := ReadJSON(earlier, spec.Linux.Resources); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Result{}, err
	}
	if err := overlay(spec.Linux.Resources, r.Resources); err != nil {
		return Result{}, err
	}
	c, err := load(r)
	if err != nil {
		return Result{}, err
	}
	wanted, err := libcontainerConfig(r, spec)
	if err != nil {
		return Result{}, err
	}
	config := c.Config()
	cgroup := *config.Cgroups
	cgroup.Resources = wanted.Cgroups.Resources
	cgroup.Resources.Devices = config.Cgroups.Resources.Devices
	cgroup.Resources.SkipDevices = true
	cgroup.Resources.SkipFreezeOnSet = true
	config.Cgroups = &cgroup
	if err := c.Set(config); err != nil {
		return Result{}, err
	}
	return Result{}, WriteJSON(earlier, spec.Linux.Resources)
}

// overlay replaces the fields of base that o sets; the omitempty encoding of the OCI types is exactly "what is set".
func overlay(base, o *specs.LinuxResources) error {
	if o == nil {
		return errors.New("no resources given")
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, base)
}
