// Command start measures how long a whole node takes from the start of its programs until its API, the node and the
// cluster DNS answer and a first pod is Ready, and what CPU that costs, ours and upstream's, in turns: in a new data
// directory, and again in the same.
//
//	go run ./bench/start [-json FILE] [-minato bin/minato] [-upstream DIR] [-cni DIR] [-hello bin/minato-hello] [-runs 5]
//
// Both are asked by the same client every few milliseconds. Images are present on both sides. Upstream's programs are
// started as soon as what they need is there; between the starts they and their containers are ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	sides.Flags
	node upstream.NodeConfig
	runs int
}

func main() {
	var c config
	c.Register()
	sides.RegisterNode(&c.node)
	flag.IntVar(&c.runs, "runs", 5, "how often to start each, in either way")
	report.Main(report.Result{Bench: "start", Title: "Start of a node", About: "From the start of the programs until a client that asks every three milliseconds " +
		"has its answer; medians, in turns. Upstream is etcd, kube-apiserver, controller manager, scheduler, containerd, kubelet, kube-proxy and CoreDNS. " +
		"CPU is that of all programs and containers until the first pod is Ready."}, c.run)
}

// taken is what the starts of one side in one way took.
type taken struct{ api, node, dns, pod, cpu []time.Duration }

func (c *config) run(ctx context.Context, r *report.Result) error {
	var first, again [2]taken
	var failed error
	for n := range c.runs {
		for i, prepare := range []func(context.Context) (*sides.Side, error){c.ours, c.theirs} {
			if err := twice(ctx, prepare, &first[i], &again[i]); err != nil {
				failed = fmt.Errorf("run %d: %w", n, err)
				break
			}
		}
		if failed != nil {
			break
		}
	}
	rows(r, "in a new data directory", first, true)
	rows(r, "in a used data directory", again, false)
	return failed
}

func (c config) ours(ctx context.Context) (*sides.Side, error) {
	return sides.PrepareOurs(ctx, c.Minato)
}

func (c config) theirs(ctx context.Context) (*sides.Side, error) {
	return sides.PrepareUpstream(ctx, c.Upstream, c.node)
}

// twice starts a side in a new directory, stops it and starts it again.
func twice(ctx context.Context, prepare func(context.Context) (*sides.Side, error), first, again *taken) (err error) {
	s, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := once(ctx, s, "one", first); err != nil {
		return err
	}
	if err := s.Down(ctx); err != nil {
		return err
	}
	return once(ctx, s, "two", again)
}

func once(ctx context.Context, s *sides.Side, pod string, into *taken) error {
	before, err := s.Cgroup.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	t, err := s.Start(ctx)
	if err != nil {
		return fmt.Errorf("%w: %s", err, s.Words())
	}
	if err := s.FirstPod(ctx, pod); err != nil {
		return err
	}
	ready := time.Since(began)
	after, err := s.Cgroup.CPU()
	if err != nil {
		return err
	}
	into.api, into.node, into.dns = append(into.api, t.API), append(into.node, t.Node), append(into.dns, t.DNS)
	into.pod, into.cpu = append(into.pod, ready), append(into.cpu, after-before)
	return s.DeletePod(ctx, pod)
}

func rows(r *report.Result, group string, of [2]taken, first bool) {
	for _, row := range []struct {
		name  string
		pick  func(taken) []time.Duration
		reach float64
		key   bool
	}{
		{"API ready", func(t taken) []time.Duration { return t.api }, 0.5, true},
		{"node Ready", func(t taken) []time.Duration { return t.node }, 1, true},
		{"cluster DNS answers", func(t taken) []time.Duration { return t.dns }, 0, false},
		{"first pod Ready", func(t taken) []time.Duration { return t.pod }, 2, false},
		{"CPU until then", func(t taken) []time.Duration { return t.cpu }, 0, false},
	} {
		out := report.Row{Group: group, Name: row.name, Unit: report.Seconds, Key: row.key && first,
			Ours: report.Median(report.S(row.pick(of[0])...)), Theirs: report.Median(report.S(row.pick(of[1])...))}
		if first {
			out.Reach.Figure = row.reach
		}
		r.Add(out)
	}
}
