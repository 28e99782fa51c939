package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
)

// A side is a builder, with a node that takes what it makes.
type side struct {
	name  string
	group *cgroup.Group
	build func(ctx context.Context, k kind, archive string) error
	most  func() int64 // bytes
	idle  func() int64
	close func() error
}

// cpu is what the side has used; its group is there as long as the side is.
func (s *side) cpu() time.Duration {
	d, err := s.group.CPU()
	if err != nil {
		return 0
	}
	return d
}

// ours is a cluster of ours; no builder runs until one is asked for.
func (c *config) ours(ctx context.Context, in input) (s *side, err error) {
	cluster, err := measure.NewCluster(ctx, c.minato, "ours")
	if err != nil {
		return nil, err
	}
	s = &side{name: "ours", idle: func() int64 { return 0 }, close: cluster.Close}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.group, err = cgroup.New(measure.Tag() + "-" + filepath.Base(cluster.DataDir)); err != nil {
		return nil, err
	}
	s.close = func() error { return errors.Join(cluster.Close(), s.group.Close()) }
	program, err := filepath.Abs(c.minato)
	if err != nil {
		return nil, err
	}
	var most int64
	s.most = func() int64 { return most }
	do := func(ctx context.Context, arg ...string) error {
		cmd := cluster.Net.Command(ctx, append([]string{program}, arg...)...)
		cmd.Env = append(os.Environ(), "MINATO_DATA_DIR="+cluster.DataDir)
		used, err := s.run(cmd)
		most = max(most, used)
		return err
	}
	if _, err := s.run(cluster.Up(ctx)); err != nil {
		return nil, err
	}
	id, err := identity(cluster.DataDir)
	if err != nil {
		return nil, err
	}
	s.group.Count("/minato-" + id) // the steps and their shim
	if err := do(ctx, "image", "load", in.archive); err != nil {
		return nil, err
	}
	most = 0
	s.build = func(ctx context.Context, k kind, archive string) error {
		arg := []string{"image", "build", "--progress", "plain", "-t", "built:1"}
		if !k.cached {
			arg = append(arg, "--no-cache")
		}
		if !k.node {
			arg = append(arg, "--output", "type=oci,dest="+archive)
		}
		return do(ctx, append(arg, in.context)...)
	}
	return s, nil
}

func identity(data string) (string, error) {
	b, err := os.ReadFile(filepath.Join(data, "cluster.json"))
	if err != nil {
		return "", err
	}
	var id struct{ ID string }
	return id.ID, json.Unmarshal(b, &id)
}

// theirs is BuildKit's daemon, and containerd.
func (c *config) theirs(ctx context.Context, in input) (s *side, err error) {
	if err := upstream.Build(ctx, c.upstream, append([]string{"containerd", "containerd-shim-runc-v2", "ctr", "pause"}, upstream.Builder...)...); err != nil {
		return nil, err
	}
	u, err := upstream.New(ctx, c.upstream)
	if err != nil {
		return nil, err
	}
	s = &side{name: "BuildKit's daemon", group: u.Cgroup, close: u.Close}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Close())
		}
	}()
	if _, err := u.StartRuntime(ctx, c.cni, in.archive); err != nil {
		return nil, err
	}
	pid, err := u.StartBuilder(ctx)
	if err != nil {
		return nil, err
	}
	s.most = func() int64 { return measure.Memory(pid, "status", "VmHWM") }
	s.idle = func() int64 { return measure.Memory(pid, "smaps_rollup", "Pss") }
	s.build = func(ctx context.Context, k kind, archive string) error {
		arg := []string{"build", "--progress", "plain", "--frontend", "dockerfile.v0", "--local", "context=" + in.context, "--local", "dockerfile=" + in.context,
			"--oci-layout", "base=" + in.layout, "--opt", "context:bench:1=oci-layout://base@" + in.digest,
			"--output", "type=oci,name=docker.io/library/built:1,dest=" + archive}
		if !k.cached {
			arg = append(arg, "--no-cache")
		}
		if err := u.Buildctl(ctx, arg...); err != nil || !k.node {
			return err
		}
		return u.Take(ctx, archive)
	}
	return s, nil
}

// run runs a command in the group and returns the most memory that it held.
func (s *side) run(cmd *exec.Cmd) (most int64, err error) {
	out, err := os.CreateTemp("", "build.log") // no pipe: a cluster that goes on would hold it open
	if err != nil {
		return 0, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.group.Start(cmd); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		said, _ := os.ReadFile(out.Name()) // the first error is the one to tell
		return 0, fmt.Errorf("%s: %w: %s", cmd, err, said)
	}
	if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		most = used.Maxrss << 10
	}
	return most, nil
}
