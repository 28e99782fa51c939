package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

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

// serve is our runtime as the agent has it, alone.
func serve(ctx context.Context, dir, binary string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	images, err := image.Open(image.Config{Dir: filepath.Join(dir, "images"), Log: log})
	if err != nil {
		return err
	}
	archive, err := os.Open(filepath.Join(dir, archiveName))
	if err != nil {
		return err
	}
	defer archive.Close()
	if _, err := images.Load(ctx, archive, image.LoadOptions{}); err != nil {
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
