package runtimes

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	"minato.dev/minato/internal/runtime"
	"minato.dev/minato/internal/shim"
)

// Names in our runtime's directory.
const (
	socketName  = "cri.sock"
	archiveName = "image.tar"
)

// cgroupVariable tells our runtime where its shim belongs.
const cgroupVariable = "MINATO_BENCH_CGROUP"

// Ours starts this program again as our runtime, with the arguments -serve DIR -shim SHIM, upon which it is to call Serve.
// net nil: in a network namespace of its own. archive is an image that it has from the beginning; empty: none.
func Ours(ctx context.Context, net *measure.Netns, binary, archive string) (r *Runtime, err error) {
	r = &Runtime{Name: "ours", Net: net}
	defer r.undo(&err)
	dir, err := os.MkdirTemp("", "ours")
	if err != nil {
		return r, err
	}
	r.later(func() error { return errors.Join(upstream.Unmount(dir), os.RemoveAll(dir)) })
	r.Logs = filepath.Join(dir, "logs")
	if net == nil {
		if r.Net, err = measure.NewNetns(ctx, filepath.Base(dir)); err != nil {
			return r, err
		}
		r.later(r.Net.Close)
	}
	if r.Group, err = cgroup.New(measure.Tag() + "-" + filepath.Base(dir)); err != nil {
		return r, err
	}
	r.later(r.Group.Close)
	if archive != "" {
		if err := os.Link(archive, filepath.Join(dir, archiveName)); err != nil {
			return r, err
		}
	}
	if err := r.again(ctx, dir, binary); err != nil {
		return r, err
	}
	return r, r.dial(ctx, filepath.Join(dir, socketName))
}

// again starts this program once more, to serve.
func (r *Runtime) again(ctx context.Context, dir, binary string) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := r.Net.Command(context.WithoutCancel(ctx), self, "-serve", dir, "-shim", binary)
	cmd.Env = append(os.Environ(), cgroupVariable+"="+r.Group.Path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = r.Group.Start(cmd)
	r.later(func() error { return endShim(filepath.Join(dir, "shim"), binary) })
	if cmd.Process != nil {
		r.later(func() error {
			_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
			_ = cmd.Wait()
			return nil
		})
	}
	return err
}

// endShim ends the shim, which would outlive its runtime.
func endShim(dir, binary string) error {
	if _, err := os.Stat(filepath.Join(dir, shim.SocketName)); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := shim.Ensure(ctx, shim.Config{Binary: binary, RunDir: dir})
	if err != nil {
		return nil // it has ended
	}
	return errors.Join(c.Shutdown(ctx), c.Close())
}

// Serve is our runtime as the agent has it, alone, until ctx ends.
func Serve(ctx context.Context, dir, binary string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	images, err := image.Open(image.Config{Dir: filepath.Join(dir, "images"), Log: log})
	if err != nil {
		return err
	}
	if err := load(ctx, images, filepath.Join(dir, archiveName)); err != nil {
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

// load takes in the image that is there from the beginning, if any.
func load(ctx context.Context, images *image.Store, archive string) error {
	f, err := os.Open(archive)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = images.Load(ctx, f, image.LoadOptions{})
	return err
}
