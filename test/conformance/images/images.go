// Package images builds the images that the conformance tests name, without a registry or a container runtime: userlands
// from Debian packages, programs from Go modules, all of them in one OCI archive for `minato image load`. The command
// conformance calls it; nothing here is safe for concurrent use. The same packages and programs give the same bytes.
package images

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

//go:embed *.go
var source embed.FS

// Config says where things are.
type Config struct {
	Bin    string // built programs
	Cache  string // archive, downloaded packages
	Source string // directory of the Kubernetes module
	Stamp  string // what the programs were built from
	Log    *slog.Logger
}

// Build makes the archive unless one of the same recipes and programs is there, and returns its path.
func Build(ctx context.Context, cfg Config) (string, error) {
	out, stampFile := filepath.Join(cfg.Cache, "images.tar"), filepath.Join(cfg.Cache, "images.stamp")
	stamp, err := fingerprint(cfg.Stamp)
	if err != nil {
		return "", err
	}
	if have, err := os.ReadFile(stampFile); err == nil && string(have) == stamp {
		if _, err := os.Stat(out); err == nil {
			return out, nil
		}
	}
	start := time.Now()
	scratch, err := os.MkdirTemp(cfg.Cache, "layers-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	k := &kitchen{bin: cfg.Bin, scratch: scratch, source: cfg.Source, debs: debian{filepath.Join(cfg.Cache, "debs")}}
	layers := map[string]layer{}
	for _, img := range table {
		for _, name := range img.layers {
			if _, done := layers[name]; done {
				continue
			}
			t, err := recipes[name](ctx, k)
			if err == nil {
				layers[name], err = pack(name, t, filepath.Join(scratch, name+".tar.gz"))
			}
			if err != nil {
				return "", fmt.Errorf("layer %s: %w", name, err)
			}
			cfg.Log.Debug("packed a layer", "layer", name, "bytes", layers[name].size)
		}
	}
	if err := assemble(out, layers); err != nil {
		return "", fmt.Errorf("archive of the images: %w", err)
	}
	cfg.Log.Info("built the images", "images", len(table), "seconds", int(time.Since(start).Seconds()))
	return out, os.WriteFile(stampFile, []byte(stamp), 0o644)
}

// fingerprint changes whenever a recipe or what the programs are built from does.
func fingerprint(programs string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, programs)
	files, err := source.ReadDir(".")
	if err != nil {
		return "", err
	}
	for _, f := range files {
		r, err := source.Open(f.Name())
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, r)
		r.Close()
		if err != nil {
			return "", err
		}
	}
	return digest(h.Sum(nil)), nil
}
