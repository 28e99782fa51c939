//go:build cgo

package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
)

// load returns the container as libcontainer knows it. For one that it did not make, what it would have written down is
// written down now.
func load(r Request) (*libcontainer.Container, error) {
	path := filepath.Join(r.Root, r.ID, "state.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && r.Made != nil {
		if err := writeState(path, r); err != nil {
			return nil, err
		}
	}
	return libcontainer.Load(r.Root, r.ID)
}

func writeState(path string, r Request) error {
	spec, err := LoadSpec(r.Bundle)
	if err != nil {
		return err
	}
	if err := restrictOOMScore(spec.Process); err != nil {
		return err
	}
	config, err := libcontainerConfig(r, spec)
	if err != nil {
		return err
	}
	state := libcontainer.State{
		BaseState:      libcontainer.BaseState{ID: r.ID, InitProcessPid: r.Made.Pid, InitProcessStartTime: r.Made.StartTime, Config: *config},
		CgroupPaths:    r.Made.CgroupPaths,
		NamespacePaths: map[configs.NamespaceType]string{},
	}
	for _, kind := range configs.NamespaceTypes() {
		if configs.IsNamespaceSupported(kind) {
			state.NamespacePaths[kind] = (&configs.Namespace{Type: kind}).GetPath(r.Made.Pid)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return WriteJSON(path, &state)
}
