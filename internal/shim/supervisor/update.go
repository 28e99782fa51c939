package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/hierarchy"
	"minato.dev/minato/internal/shim/jail"
)

// update changes a container's limits.
func (s *Supervisor) update(ctx context.Context, id string, res *specs.LinuxResources) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	c, err := s.find(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	s.mu.Lock()
	status := c.state.Status
	s.mu.Unlock()
	if status == shim.Exited {
		return fmt.Errorf("update of container %q, which has exited: %w", id, shim.ErrState)
	}
	if err := s.ownCgroups(c, res); err != nil {
		return fmt.Errorf("update of container %q: %w", id, err)
	}
	req := s.updateRequest(c)
	req.Resources = res
	if _, err := s.help(ctx, "update", filepath.Join(c.dir, updateDir), req, [3]*os.File{}, nil); err != nil {
		return fmt.Errorf("update of container %q: %w", id, err)
	}
	return nil
}

// ownCgroups makes the cgroups that the limits need and the container did without, and moves its processes there. The record
// comes before the processes, so that they are found after a crash.
func (s *Supervisor) ownCgroups(c *container, res *specs.LinuxResources) error {
	s.mu.Lock()
	own := maps.Clone(c.cgroups)
	s.mu.Unlock()
	lacks := jail.Lacks(own, res)
	if len(lacks) == 0 || foreign(c) {
		return nil
	}
	for controllers, dir := range hierarchy.Dirs(c.rec.Cgroup) {
		if name := slices.IndexFunc(lacks, func(l string) bool { return slices.Contains(strings.Split(controllers, ","), l) }); name >= 0 {
			if err := makeCgroup(controllers, dir); err != nil {
				return err
			}
			own[lacks[name]] = dir
		}
	}
	if err := jail.WriteCgroups(filepath.Join(c.dir, createDir), own); err != nil {
		return err
	}
	// What libcontainer knows of the container is written anew.
	if err := removeIfThere(filepath.Join(s.jailRoot(), c.rec.Request.ID, "state.json")); err != nil {
		return err
	}
	s.mu.Lock()
	before := c.cgroups
	c.cgroups = own // who enters from now on joins them
	s.mu.Unlock()
	for _, l := range lacks {
		if err := gather(before, own[l]); err != nil {
			return err
		}
	}
	return nil
}

// gather moves all processes of the cgroups to dir. Those that are born meanwhile are where their parents were.
func gather(from map[string]string, dir string) error {
	for {
		there := map[int]bool{}
		for _, pid := range cgroupPids(map[string]string{"": dir}) {
			there[pid] = true
		}
		moved := false
		for _, pid := range cgroupPids(from) {
			if there[pid] {
				continue
			}
			err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cgroup %s: process %d: %w", dir, pid, err)
			}
			moved = moved || err == nil
		}
		if !moved {
			return nil
		}
	}
}
