package jail

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// roomName is the directory beside libcontainer's with what containers see read-only and share, where each would need a file
// system of its own for it otherwise. One of those takes the kernel 12 KB and more, for it has a place in every memory cgroup
// of the machine.
const roomName = "room"

// A room has an empty directory, for what is masked, and one with the names of the hierarchies of cgroup version 1.
type room struct{ empty, cgroup string }

// roomFor makes what is missing of the room for a container, or returns none: who may mount could make it writable.
func roomFor(r Request, spec *specs.Spec, hierarchies []cgroups.Mount) (*room, error) {
	c := spec.Process.Capabilities
	if c == nil || slices.Contains(slices.Concat(c.Bounding, c.Permitted, c.Inheritable), "CAP_SYS_ADMIN") {
		return nil, nil
	}
	dir := filepath.Join(filepath.Dir(r.Root), roomName)
	x := &room{empty: filepath.Join(dir, "empty"), cgroup: filepath.Join(dir, "cgroup")}
	dirs := []string{x.empty, x.cgroup}
	for _, h := range hierarchies {
		dirs = append(dirs, filepath.Join(x.cgroup, filepath.Base(h.Mountpoint)))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return x, x.links(hierarchies)
}

// links are the controllers' names of hierarchies that have several.
func (x *room) links(hierarchies []cgroups.Mount) error {
	for _, h := range hierarchies {
		name := filepath.Base(h.Mountpoint)
		for sub := range strings.SplitSeq(name, ",") {
			if sub == name {
				continue
			}
			if err := os.Symlink(name, filepath.Join(x.cgroup, sub)); err != nil && !os.IsExist(err) {
				return err
			}
		}
	}
	return nil
}
