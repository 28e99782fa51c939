// Command runtime measures our container runtime beside containerd with runc and the bridge CNI plugin, both over CRI, by
// one client, the image being present: pods one after another in turns, pods four at a time, commands in a container,
// and what idle pods hold.
//
//	go run ./bench/runtime [-json FILE] [-shim bin/minato-shim] [-upstream DIR] [-cni DIR] [-n 30] [-batch 40] [-idle 50]
//
// Each side runs in a network namespace and a cgroup of its own. CPU is all that the side used, its containers included.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/runtimes"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	shim, upstream, cni string
	n, batch, idle      int
	serve               string // directory of our runtime: this process is it
}

func main() {
	var c config
	flag.StringVar(&c.shim, "shim", "bin/minato-shim", "our shim")
	flag.StringVar(&c.upstream, "upstream", upstream.Dir(), "folder of upstream's programs; what is missing is built")
	flag.StringVar(&c.cni, "cni", "/usr/lib/cni", "folder of the CNI plugins (Debian: containernetworking-plugins)")
	flag.IntVar(&c.n, "n", 30, "pods, and ten times as many commands, one after another")
	flag.IntVar(&c.batch, "batch", 40, "pods four at a time")
	flag.IntVar(&c.idle, "idle", 50, "pods that do nothing")
	flag.StringVar(&c.serve, "serve", "", "used by the command itself: serve our runtime in this directory")
	report.Main(report.Result{Bench: "runtime", Title: "The container runtime", About: "Over CRI, by one client, the image being present, against containerd with runc and " +
		"the bridge CNI plugin: RunPodSandbox, CreateContainer and StartContainer one after another in turns, whole lives of pods four at a time, `true` by " +
		"ExecSync, and what one more pod that sleeps holds: in the runtime's own processes (containerd's shims and pause among them), and with what " +
		"the kernel holds for it (slab, per-CPU areas, stacks, page tables). Its application is what the kernel holds for the same program started as " +
		"often without a container, and is in the last row only. CPU is all that the side used, its containers included."}, c.run)
}

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	if c.serve != "" {
		return runtimes.Serve(ctx, c.serve, c.shim)
	}
	dir, err := os.MkdirTemp("", "runtime")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	archive := filepath.Join(dir, "image.tar")
	if err := writeImage(archive); err != nil {
		return err
	}
	both := [2]*side{{}, {}}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	ours, err := runtimes.Ours(ctx, nil, c.shim, archive)
	if err != nil {
		return err
	}
	both[0].Runtime = ours
	theirs, err := runtimes.Theirs(ctx, c.upstream, c.cni, archive)
	if err != nil {
		return err
	}
	both[1].Runtime = theirs
	var res [2]result
	defer func() { c.rows(r, res) }() // what there is, also after a failure
	for _, measure := range []func(context.Context, [2]*side, *[2]result) error{c.turns, c.batches, c.commands, c.idlePods} {
		if err := measure(ctx, both, &res); err != nil {
			return err
		}
	}
	return nil
}

// result is what one side took.
type result struct {
	sandbox, start, end []time.Duration // until the sandbox is there; until the container runs; until all is gone
	cpu                 time.Duration   // of a whole life
	perSecond           float64
	exec                []time.Duration
	execCPU             time.Duration
	idle                held  // by a pod
	program             int64 // of it in the kernel, by its program
}

// turns starts and removes pods, one side after the other.
func (c *config) turns(ctx context.Context, both [2]*side, res *[2]result) error {
	for i := range c.n + 2 {
		for k, s := range both {
			used := s.CPU()
			p, err := s.start(ctx)
			if err != nil {
				return err
			}
			began := time.Now()
			if err := s.remove(ctx, p); err != nil {
				return err
			}
			if i < 2 { // to warm up
				continue
			}
			x := &res[k]
			x.sandbox, x.start, x.end = append(x.sandbox, p.sandbox), append(x.start, p.running), append(x.end, time.Since(began))
			x.cpu += s.CPU() - used
		}
	}
	for k := range both {
		res[k].cpu /= time.Duration(c.n)
	}
	return nil
}

// commands runs true in one container of each side.
func (c *config) commands(ctx context.Context, both [2]*side, res *[2]result) error {
	var pods [2]pod
	for k, s := range both {
		p, err := s.start(ctx)
		if err != nil {
			return err
		}
		pods[k] = p
	}
	for i := range 10*c.n + 2 {
		for k, s := range both {
			used, began := s.CPU(), time.Now()
			if err := s.exec(ctx, pods[k], "true"); err != nil {
				return err
			}
			if i >= 2 {
				res[k].exec = append(res[k].exec, time.Since(began))
				res[k].execCPU += s.CPU() - used
			}
		}
	}
	for k, s := range both {
		res[k].execCPU /= time.Duration(10 * c.n)
		if err := s.remove(ctx, pods[k]); err != nil {
			return err
		}
	}
	return nil
}
