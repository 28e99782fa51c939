// Command idle measures what a node costs that nobody uses, ours and upstream's: memory (PSS), CPU, wake-ups and bytes
// written, of all processes, over the same minute; first with no pods but what the cluster needs, then with pods that
// sleep.
//
//	go run ./bench/idle [-json FILE] [-minato bin/minato] [-upstream DIR] [-cni DIR] [-hello bin/minato-hello]
//	                    [-settle 20s] [-for 60s] [-pods 30] [-ours]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	sides.Flags
	node           upstream.NodeConfig
	settle, window time.Duration
	pods           int
	alone          bool
}

func main() {
	var c config
	c.Register()
	sides.RegisterNode(&c.node)
	flag.DurationVar(&c.settle, "settle", 20*time.Second, "how long to leave both alone before measuring")
	flag.DurationVar(&c.window, "for", time.Minute, "how long to measure")
	flag.IntVar(&c.pods, "pods", 30, "how many sleeping pods there are the second time; 0: no second time")
	flag.BoolVar(&c.alone, "ours", false, "measure ours alone, each process by itself")
	r := report.Result{Bench: "idle", Title: "A node at rest", About: "Both run at the same time and nobody asks for anything. Memory is the proportional set size of all programs of the side, " +
		"shims and pauses included, containers not; CPU that of its cgroups with the containers. Upstream's includes CoreDNS."}
	report.Main(r, c.run)
}

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	all, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := c.measure(ctx, r, "no pods", all, report.Reach{Figure: 120}, report.Reach{Figure: 0.5}); err != nil || c.pods == 0 {
		return err
	}
	for _, s := range all {
		if err := fill(ctx, s, c.pods); err != nil {
			return err
		}
	}
	return c.measure(ctx, r, fmt.Sprintf("%d sleeping pods", c.pods), all, report.Reach{}, report.Reach{})
}

func (c config) start(ctx context.Context) ([]*sides.Side, error) {
	if c.alone {
		ours, err := sides.Ours(ctx, c.Minato, nil)
		return []*sides.Side{ours}, err
	}
	return sides.BothNodes(ctx, c.Flags, c.node)
}

// fill has n pods run.
func fill(ctx context.Context, s *sides.Side, n int) error {
	for i := range n {
		if err := s.FirstPod(ctx, fmt.Sprintf("sleep-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// rest is what one side cost over the window.
type rest struct {
	cpu  time.Duration
	each []measure.Process
}

func (c config) measure(ctx context.Context, r *report.Result, group string, all []*sides.Side, memory, cpu report.Reach) error {
	if err := wait(ctx, c.settle); err != nil {
		return err
	}
	rests := make([]rest, len(all))
	var err error
	for i, s := range all {
		if rests[i].cpu, err = s.Cgroup.CPU(); err != nil {
			return err
		}
		if rests[i].each, err = s.Net.Processes(); err != nil {
			return err
		}
	}
	if err := wait(ctx, c.window); err != nil {
		return err
	}
	for i, s := range all {
		after, err := s.Cgroup.CPU()
		if err != nil {
			return err
		}
		ps, err := s.Net.Processes()
		if err != nil {
			return err
		}
		rests[i] = rest{after - rests[i].cpu, measure.Since(rests[i].each, ps)}
	}
	c.rows(r, group, rests, memory, cpu)
	if c.alone {
		c.processes(r, group, rests[0])
	}
	return nil
}

func (c config) rows(r *report.Result, group string, rests []rest, memory, cpu report.Reach) {
	add := func(name string, unit report.Unit, reach report.Reach, key bool, of func(rest) float64) {
		row := report.Row{Group: group, Name: name, Unit: unit, Reach: reach, Key: key, Ours: report.Just(of(rests[0]))}
		if len(rests) > 1 {
			row.Theirs = report.Just(of(rests[1]))
		}
		r.Add(row)
	}
	add("memory of all programs", report.Megabytes, memory, true, func(x rest) float64 { return report.MB(measure.Total(x.each).PSS) })
	add("CPU, of a core", report.Percent, cpu, true, func(x rest) float64 { return 100 * x.cpu.Seconds() / c.window.Seconds() })
	add("wake-ups", report.PerSecond, report.Reach{}, false, func(x rest) float64 { return float64(measure.Total(x.each).Wakeups) / c.window.Seconds() })
	add("written to disk in a minute", report.Megabytes, report.Reach{}, false, func(x rest) float64 {
		return report.MB(measure.Total(x.each).Written) * time.Minute.Seconds() / c.window.Seconds()
	})
}

// processes adds a note for each process of ours.
func (c config) processes(r *report.Result, group string, x rest) {
	for _, p := range x.each {
		r.Note("%s: %s: PSS %.1f MB (%.1f anonymous), CPU %.2f %%, %.1f wake-ups/s, written %d KB", group, p.Name, report.MB(p.PSS), report.MB(p.Anon),
			100*p.CPU.Seconds()/c.window.Seconds(), float64(p.Wakeups)/c.window.Seconds(), p.Written>>10)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
