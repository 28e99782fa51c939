// Package harbour starts a fresh Minato cluster for one conformance run: in a network namespace of its own in which there
// is nothing but loopback, so that no packet leaves the machine, with the suite's images loaded. The command conformance
// calls it. A Harbour is not safe for concurrent use, but many commands may run inside at once.
package harbour

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Harbour is one running cluster.
type Harbour struct {
	netns, minato string
	dir           string // holds all that is below
	data          string // of the cluster
	log           *slog.Logger
	server        *http.Server
}

// Open makes the namespace and starts the cluster, whose data lies in a new directory under dir; registry stands in for the
// one that the suite's images come from. What it made so far is removed again when it fails.
func Open(ctx context.Context, minato, dir string, registry http.Handler, log *slog.Logger) (*Harbour, error) {
	own, err := os.MkdirTemp(dir, "cluster-")
	if err != nil {
		return nil, err
	}
	h := &Harbour{netns: "conformance-" + strconv.Itoa(os.Getpid()), minato: minato, dir: own, data: filepath.Join(own, "data"), log: log}
	start := time.Now()
	err = h.open(ctx, registry)
	if err != nil {
		return nil, errors.Join(err, h.Close(context.WithoutCancel(ctx)))
	}
	log.Info("the cluster is up", "netns", h.netns, "data", h.data, "milliseconds", time.Since(start).Milliseconds())
	return h, nil
}

func (h *Harbour) open(ctx context.Context, registry http.Handler) error {
	if err := run(exec.CommandContext(ctx, "ip", "netns", "add", h.netns)); err != nil {
		return err
	}
	if err := run(h.Command(ctx, "ip", "link", "set", "lo", "up")); err != nil {
		return err
	}
	registries, err := h.mirror(registry)
	if err != nil {
		return err
	}
	return run(h.Command(ctx, h.minato, "up", "--registries-dir", registries, "--detach", "--data-dir", h.data, "--merge-kubeconfig=false"))
}

// Kubeconfig is the administrator's.
func (h *Harbour) Kubeconfig() string { return filepath.Join(h.data, "admin.kubeconfig") }

// LogFile is the cluster's own log.
func (h *Harbour) LogFile() string { return filepath.Join(h.data, "log", "minato.log") }

// Command is a command inside the namespace. Unlike `ip netns exec`, nsenter leaves the mounts alone, cgroups among them.
func (h *Harbour) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + h.netns, name}, args...)...)
}

// Load brings the images of an archive to the node.
func (h *Harbour) Load(ctx context.Context, archive string) error {
	start := time.Now()
	if err := run(h.Command(ctx, h.minato, "image", "load", "--data-dir", h.data, archive)); err != nil {
		return err
	}
	h.log.Info("loaded the images", "seconds", int(time.Since(start).Seconds()))
	return nil
}

// Close removes the cluster, its data and the namespace.
func (h *Harbour) Close(ctx context.Context) error {
	var served error
	if h.server != nil {
		served = h.server.Close()
	}
	return errors.Join(served,
		run(h.Command(ctx, h.minato, "down", "--purge", "--data-dir", h.data)),
		run(exec.CommandContext(ctx, "ip", "netns", "del", h.netns)),
		os.RemoveAll(h.dir),
	)
}

// run runs a command; its error has what the command said.
func run(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, out)
	}
	return nil
}
