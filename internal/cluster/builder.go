package cluster

import (
	"bytes"
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
	if err := removeOthers(helper, "minato-build-"); err != nil {
		return "", p, err
	}
	return helper, p, recordBuilder(filepath.Join(paths.bin(), builderRecord), helper, p)
}

// builderRecord is the name by which cmd/minato/early finds the record in paths.bin.
const builderRecord = "builder"

// recordBuilder lets the next build become the helper at once.
func recordBuilder(path, helper string, p build.Place) error {
	text, err := build.Record("/proc/self/exe", helper, p)
	if err != nil {
		return err
	}
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, text) {
		return nil
	}
	return writeFile(path, text, 0o600)
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
