// Package harbour starts a fresh Minato cluster for one conformance run: each node in a network namespace of its own, one
// node with nothing but loopback, several joined by a bridge in one namespace more, so that no packet leaves the machine,
// with the suite's images loaded. The command conformance calls it. A Harbour is not safe for concurrent use, but many
// commands may run inside at once.
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
	minato string
	dir    string // holds all that is below
	link   string // the namespace of the bridge; empty where there is one node
	nodes  []node // the first is the server
	log    *slog.Logger
}

// node is one node of the cluster: a machine, as far as it can tell.
type node struct {
	netns, name string
	data        string // directory
	made        bool   // the namespace is there
	mirror      *http.Server
}

// Open makes the namespaces and starts a cluster of so many nodes, whose data lies in a new directory under dir; registry
// stands in for the one that the suite's images come from. What it made so far is removed again when it fails.
func Open(ctx context.Context, minato, dir string, nodes int, registry http.Handler, log *slog.Logger) (*Harbour, error) {
	own, err := os.MkdirTemp(dir, "cluster-")
	if err != nil {
		return nil, err
	}
	h := &Harbour{minato: minato, dir: own, log: log}
	name := "conformance-" + strconv.Itoa(os.Getpid())
	for i := range nodes {
		n := node{netns: name, data: filepath.Join(own, "data")}
		if i > 0 {
			n.netns, n.data = fmt.Sprint(name, "-", i), fmt.Sprint(n.data, "-", i)
		}
		if nodes > 1 {
			n.name = fmt.Sprint("node-", i)
		}
		h.nodes = append(h.nodes, n)
	}
	start := time.Now()
	err = h.open(ctx, registry)
	if err != nil {
		return nil, errors.Join(err, h.Close(context.WithoutCancel(ctx)))
	}
	log.Info("the cluster is up", "netns", name, "data", h.nodes[0].data, "nodes", nodes, "milliseconds", time.Since(start).Milliseconds())
	return h, nil
}

func (h *Harbour) open(ctx context.Context, registry http.Handler) error {
	for i := range h.nodes {
		n := &h.nodes[i]
		if err := run(exec.CommandContext(ctx, "ip", "netns", "add", n.netns)); err != nil {
			return err
		}
		n.made = true
		if err := run(exec.CommandContext(ctx, "ip", "-n", n.netns, "link", "set", "lo", "up")); err != nil {
			return err
		}
	}
	if len(h.nodes) > 1 {
		if err := h.connect(ctx); err != nil {
			return err
		}
	}
	for i := range h.nodes {
		if err := h.start(ctx, i, registry); err != nil {
			return err
		}
	}
	return nil
}

// start starts one node; all but the first join it.
func (h *Harbour) start(ctx context.Context, i int, registry http.Handler) error {
	n := &h.nodes[i]
	registries, err := h.mirror(n, registry)
	if err != nil {
		return err
	}
	args := []string{"up", "--registries-dir", registries, "--detach", "--data-dir", n.data, "--merge-kubeconfig=false"}
	if n.name != "" {
		args = append(args, "--node-name", n.name)
	}
	c := n.command(ctx, h.minato, args...)
	if i > 0 {
		token, err := h.nodes[0].command(ctx, h.minato, "token", "create", "--data-dir", h.nodes[0].data).Output()
		if err != nil {
			return fmt.Errorf("make a token: %w", err)
		}
		c.Args = append(c.Args, "--join", "https://"+address(0)+":6443")
		c.Env = append(os.Environ(), "MINATO_TOKEN="+strings.TrimSpace(string(token)))
	}
	return run(c)
}

// Kubeconfig is the administrator's.
func (h *Harbour) Kubeconfig() string { return filepath.Join(h.nodes[0].data, "admin.kubeconfig") }

// LogFiles are the nodes' own logs, the server's first.
func (h *Harbour) LogFiles() (files []string) {
	for _, n := range h.nodes {
		files = append(files, filepath.Join(n.data, "log", "minato.log"))
	}
	return files
}

// Command is a command in the server's namespace.
func (h *Harbour) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return h.nodes[0].command(ctx, name, args...)
}

// command is a command inside the namespace. Unlike `ip netns exec`, nsenter leaves the mounts alone, cgroups among them.
func (n *node) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + n.netns, name}, args...)...)
}

// Load brings the images of an archive to all nodes.
func (h *Harbour) Load(ctx context.Context, archive string) error {
	start := time.Now()
	for _, n := range h.nodes {
		if err := run(n.command(ctx, h.minato, "image", "load", "--data-dir", n.data, archive)); err != nil {
			return err
		}
	}
	h.log.Info("loaded the images", "seconds", int(time.Since(start).Seconds()))
	return nil
}

// Close removes the cluster, agents first, its data and the namespaces.
func (h *Harbour) Close(ctx context.Context) error {
	var errs []error
	for i := len(h.nodes) - 1; i >= 0; i-- {
		n := &h.nodes[i]
		if n.mirror != nil {
			errs = append(errs, n.mirror.Close())
		}
		if n.made {
			errs = append(errs, run(n.command(ctx, h.minato, "down", "--purge", "--data-dir", n.data)),
				run(exec.CommandContext(ctx, "ip", "netns", "del", n.netns)))
		}
	}
	if h.link != "" {
		errs = append(errs, run(exec.CommandContext(ctx, "ip", "netns", "del", h.link)))
	}
	return errors.Join(append(errs, os.RemoveAll(h.dir))...)
}

// run runs a command; its error has what the command said.
func run(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, out)
	}
	return nil
}
