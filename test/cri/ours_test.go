package cri

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"testing"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/image"
	"minato.dev/minato/internal/network"
	scope "minato.dev/minato/internal/run"
	"minato.dev/minato/internal/runtime"
	"minato.dev/minato/internal/runtime/cgroup"
	"minato.dev/minato/internal/runtime/pin"
	"minato.dev/minato/internal/shim"
	"minato.dev/minato/internal/shim/shimtest"
)

// setting is where a runtime of ours keeps its things.
type setting struct {
	Root, Run, Socket, Archive, Cgroup string

	changed func() // the runtime has something new to say of itself
}

// servesVariable makes this binary our runtime with that setting, in JSON.
const servesVariable = "MINATO_CRI_SERVES"

// server makes a runtime of ours. The images are those in the archives, or in the setting's file.
func (s setting) server(ctx context.Context, archives ...[]byte) (*runtime.Server, runtime.Config, *network.Network, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	images, err := image.Open(image.Config{Dir: filepath.Join(s.Root, "images"), Log: log})
	if err != nil {
		return nil, runtime.Config{}, nil, err
	}
	if s.Archive != "" {
		a, err := os.ReadFile(s.Archive)
		if err != nil {
			return nil, runtime.Config{}, nil, err
		}
		archives = append(archives, a)
	}
	for _, a := range archives {
		if _, err := images.Load(ctx, bytes.NewReader(a), image.LoadOptions{}); err != nil {
			return nil, runtime.Config{}, nil, err
		}
	}
	pods := netip.MustParsePrefix("10.96.1.0/24")
	nw, err := network.New(network.Config{Bridge: "mcri0", PodCIDR: pods, ClusterCIDR: pods, ServiceCIDR: netip.MustParsePrefix("10.97.0.0/16"),
		StateDir: filepath.Join(s.Root, "network"), Table: "mcri", Log: log})
	if err != nil {
		return nil, runtime.Config{}, nil, err
	}
	cfg := runtime.Config{Root: filepath.Join(s.Root, "runtime"), RunDir: filepath.Join(s.Run, "r"), Socket: s.Socket,
		Shim:   shim.Config{Binary: os.Getenv(shimtest.Variable), RunDir: filepath.Join(s.Run, "s"), Cgroup: s.Cgroup + "/shim", Log: log},
		Images: images, Network: nw, Log: log, Version: "1.0.0"}
	if *handler != "" {
		cfg.Handlers, cfg.Changed = map[string]string{*handler: *handler}, s.changed
	}
	server, err := runtime.New(cfg)
	return server, cfg, nw, err
}

// serve is our runtime until it is interrupted; then nothing of it stays.
func serve(text string) (err error) {
	var s setting
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	server, cfg, nw, err := s.server(ctx)
	if err != nil {
		return err
	}
	err = server.Run(ctx, func() {})
	return errors.Join(err, endOurs(cfg, nw, s.Run, s.Cgroup+"/shim"))
}

// ours is our runtime in this process.
func ours(t *testing.T, archives [][]byte) *side {
	dir, err := os.MkdirTemp("/run", "mcri")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // a pod's own root must come through
		t.Fatal(err)
	}
	s := &side{name: "ours", handler: *handler, dir: t.TempDir(), cgroup: fmt.Sprintf("/minato-cri-%d", os.Getpid()), dial: (&net.Dialer{}).DialContext, listen: net.Listen}
	var once sync.Once
	known := make(chan struct{})
	server, cfg, nw, err := setting{Root: s.dir, Run: dir, Socket: filepath.Join(dir, "cri.sock"), Cgroup: s.cgroup,
		changed: func() { once.Do(func() { close(known) }) }}.server(t.Context(), archives...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	tasks, ready := scope.NewScope(ctx), make(chan struct{})
	tasks.Go("runtime", func(ctx context.Context) error { return server.Run(ctx, func() { close(ready) }) })
	select {
	case <-ready:
	case <-tasks.Context().Done():
		t.Fatal(tasks.Wait())
	}
	if s.Client, err = cri.Dial(t.Context(), cfg.Socket); err != nil {
		t.Fatal(err)
	}
	if *handler != "" { // it is asked what it can do when somebody asks us
		_, err := s.Status(t.Context(), &api.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		<-known
	}
	t.Cleanup(func() {
		errs := []error{s.Close()}
		cancel()
		if err := tasks.Wait(); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
		if err := errors.Join(append(errs, endOurs(cfg, nw, dir, s.cgroup))...); err != nil {
			t.Error(err)
		}
	})
	return s
}

// endOurs takes away what outlives a runtime.
func endOurs(cfg runtime.Config, nw *network.Network, dir, group string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	c, err := shim.Ensure(ctx, cfg.Shim)
	if err == nil {
		errs = append(errs, c.Shutdown(ctx), c.Close())
	}
	tree, found := cgroup.Find()
	if found == nil {
		found = tree.Remove(ctx, group)
	}
	return errors.Join(append(errs, err, found, nw.Teardown(ctx), pin.CloseRoom(cfg.RunDir), os.RemoveAll(dir))...)
}
