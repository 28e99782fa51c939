package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/runtime"
	"minato.dev/minato/internal/shim"
)

// cgroupVariable tells our runtime where its shim belongs.
const cgroupVariable = "MINATO_BENCH_CGROUP"

const socketName = "cri.sock"

// A side is a runtime that answers.
type side struct {
	name  string
	cri   *cri.Client
	group *cgroup.Group
	close func() error
}

// ours starts this program again as our runtime.
func (c *config) ours(ctx context.Context, net *measure.Netns) (s *side, err error) {
	dir, err := os.MkdirTemp("", "ours")
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(c.shim)
	if err != nil {
		return nil, err
	}
	s = &side{name: "ours"}
	var cmd *exec.Cmd
	s.close = func() error { return s.end(cmd, dir, binary) }
	if s.group, err = cgroup.New(measure.Tag() + "-" + filepath.Base(dir)); err != nil {
		return s, err
	}
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	cmd = net.Command(context.WithoutCancel(ctx), self, "-serve", dir, "-shim", binary)
	cmd.Env = append(os.Environ(), cgroupVariable+"="+s.group.Path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.group.Start(cmd); err != nil {
		return s, err
	}
	s.cri, err = dial(ctx, filepath.Join(dir, socketName))
	return s, err
}

// end takes everything of ours away, the shim included, which would outlive its runtime.
func (s *side) end(cmd *exec.Cmd, dir, binary string) error {
	var errs []error
	if s.cri != nil {
		errs = append(errs, s.cri.Close())
	}
	if cmd != nil && cmd.Process != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
		_ = cmd.Wait()
	}
	if _, err := os.Stat(filepath.Join(dir, "shim", shim.SocketName)); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if c, err := shim.Ensure(ctx, shim.Config{Binary: binary, RunDir: filepath.Join(dir, "shim")}); err == nil {
			errs = append(errs, c.Shutdown(ctx), c.Close())
		}
	}
	if s.group != nil {
		errs = append(errs, s.group.Close())
	}
	mounted := upstream.Unmount(dir)
	if mounted == nil {
		mounted = os.RemoveAll(dir)
	}
	return errors.Join(append(errs, mounted)...)
}

// dial waits for a runtime.
func dial(ctx context.Context, socket string) (*cri.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c, err := cri.Dial(ctx, socket)
		if err == nil {
			if _, err = c.ListImages(ctx, &api.ListImagesRequest{}); err == nil {
				return c, nil
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", socket, errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// serve is our runtime as the agent has it, alone.
func serve(ctx context.Context, dir, binary string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	images, err := image.Open(image.Config{Dir: filepath.Join(dir, "images"), Log: log})
	if err != nil {
		return err
	}
	pods := netip.MustParsePrefix("10.98.0.0/16")
	net, err := network.New(network.Config{Bridge: "bench0", PodCIDR: pods, ClusterCIDR: pods, ServiceCIDR: netip.MustParsePrefix("10.97.0.0/16"),
		StateDir: filepath.Join(dir, "network"), Table: "bench", Log: log})
	if err != nil {
		return err
	}
	server, err := runtime.New(runtime.Config{Root: filepath.Join(dir, "runtime"), RunDir: filepath.Join(dir, "run"), Socket: filepath.Join(dir, socketName),
		Shim:   shim.Config{Binary: binary, RunDir: filepath.Join(dir, "shim"), Cgroup: filepath.Join("/", os.Getenv(cgroupVariable), "shim"), Log: log},
		Images: images, Network: net, Log: log, Version: "0.0.0"})
	if err != nil {
		return err
	}
	return server.Run(ctx, func() {})
}
