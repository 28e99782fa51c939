package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"minato.dev/minato/internal/build"
)

// cacheSize bounds what builds keep between each other.
const cacheSize = 10 << 30

// Builder is the place where images are built for the running cluster in a data directory, and the helper that builds
// them: both programs are unpacked where they are not yet.
func Builder(data string) (helper string, p build.Place, err error) {
	if data, err = filepath.Abs(data); err != nil {
		return "", p, err
	}
	socket, err := FindLocalSocket(data)
	if err != nil {
		return "", p, err
	}
	id, err := ReadIdentity(data)
	if err != nil {
		return "", p, err
	}
	paths := id.paths(data)
	p = build.Place{State: paths.build(), Run: filepath.Join(paths.Run, "build"), Socket: socket, Cgroup: id.buildCgroup(), Keep: cacheSize}
	program, err := os.Executable()
	if err != nil {
		return "", p, err
	}
	p.Pull = []string{program, "image", "pull", "--data-dir", data}
	if p.Shim, err = extract(paths.bin(), "minato-shim"); err != nil {
		return "", p, fmt.Errorf("unpack the shim: %w", err)
	}
	if helper, err = extract(paths.bin(), "minato-build"); err != nil {
		return "", p, fmt.Errorf("unpack the builder: %w", err)
	}
	return helper, p, removeOthers(helper, "minato-build-")
}

// removeOthers removes the programs of other versions; one that runs is not hurt.
func removeOthers(keep, prefix string) error {
	all, err := filepath.Glob(filepath.Join(filepath.Dir(keep), prefix+"*"))
	if err != nil {
		return err
	}
	for _, f := range all {
		if f == keep {
			continue
		}
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// build is the builder's cache: content and snapshots of BuildKit's.
func (p Paths) build() string { return filepath.Join(p.Data, "build") }

// buildCgroup is where the steps of builds run, beside the pods and out of their limits.
func (id Identity) buildCgroup() string { return id.cgroup() + "/build" }
