// Command schedule measures how many pods a second are scheduled onto 1,000 nodes, and what that costs, with ours and
// with upstream's kube-scheduler, kube-apiserver and etcd: pods that wait when the scheduler starts, pods that many
// clients create, and one pod after another.
//
//	go run ./bench/schedule [-json FILE] [-minato bin/minato] [-upstream DIR] [-nodes 1000] [-backlog 5000] [-burst 1000] [-n 100] [-ours]
//
// Ours is the whole one-node cluster, whose kubelet, controllers, proxy and DNS see the pods too. Both bind through their
// own API servers, over the same objects.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

// config is the command line.
type config struct {
	sides.Flags
	nodes, backlog, burst, n, clients int
	alone                             bool
}

func main() {
	var c config
	c.Register()
	flag.IntVar(&c.nodes, "nodes", 1000, "made-up nodes")
	flag.IntVar(&c.backlog, "backlog", 5000, "pods that wait at the start")
	flag.IntVar(&c.burst, "burst", 1000, "pods that clients create at once")
	flag.IntVar(&c.clients, "clients", 16, "how many clients that are")
	flag.IntVar(&c.n, "n", 100, "pods one after another")
	flag.BoolVar(&c.alone, "ours", false, "measure ours alone, and show each pod that took twice as long as most")
	report.Main(report.Result{Bench: "schedule", Title: "Scheduling", About: "Pods of two containers onto made-up nodes, bound through the API, seen by a watch of " +
		"the same client. Ours is the whole one-node cluster; upstream's is kube-apiserver, etcd and kube-scheduler (client limits lifted). CPU is of all programs of the side."},
		c.run)
}

// measured is what one side took.
type measured struct {
	backlog, burst load
	one            []time.Duration // each of those one after another, from creation to bound
	now, peak      int64           // memory at the end
}

// load is many pods.
type load struct {
	rate        float64 // bound a second
	pods        int     // that the figures are of
	cpu, client time.Duration
}

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	var m [2]measured
	defer func() { c.rows(r, m) }() // what there is, also after a failure
	var all []*follower
	// The second starts when the first has nothing to do any more.
	starts := []func(context.Context, string, sides.Fill) (*sides.Side, error){sides.Ours, sides.UpstreamScheduling}
	if c.alone {
		starts = starts[:1]
	}
	for i, start := range starts {
		s, err := start(ctx, [2]string{c.Minato, c.Upstream}[i], sides.Pending(c.backlog, c.nodes))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		f, err := follow(ctx, s)
		if err != nil {
			return err
		}
		defer f.close()
		all = append(all, f)
		if m[i].backlog, err = f.await(ctx, c.backlog, c.backlog/5); err != nil {
			return fmt.Errorf("backlog: %w: %s", err, s.Words())
		}
	}
	for i, f := range all {
		if m[i].burst, err = c.many(ctx, f); err != nil {
			return fmt.Errorf("burst: %w", err)
		}
	}
	began := time.Now()
	for n := range c.n {
		for i, f := range all {
			took, err := one(ctx, f, fmt.Sprintf("one-%d", n))
			if err != nil {
				return err
			}
			if m[i].one = append(m[i].one, took); c.alone && report.Ms(took)[0] > 2*report.Median(report.Ms(m[i].one...)).Value {
				fmt.Printf("pod %d, %s after the first: %s\n", n, time.Since(began), took)
			}
		}
	}
	for i, f := range all {
		if m[i].now, m[i].peak, err = f.side.Memory(); err != nil {
			return err
		}
	}
	return nil
}

// many has clients create pods at once and waits until all are bound.
func (c config) many(ctx context.Context, f *follower) (load, error) {
	var g errgroup.Group
	for w := range c.clients {
		g.Go(func() error {
			for i := w; i < c.burst; i += c.clients {
				if err := f.create(ctx, fmt.Sprintf("burst-%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	l, err := f.await(ctx, c.burst, 0)
	return l, errors.Join(err, g.Wait())
}

// one creates a pod and waits until it is bound.
func one(ctx context.Context, f *follower, name string) (time.Duration, error) {
	began := time.Now()
	if err := f.create(ctx, name); err != nil {
		return 0, err
	}
	_, err := f.await(ctx, 1, 0)
	return f.last.Sub(began), err
}

func (c config) rows(r *report.Result, m [2]measured) {
	many := func(group string, of func(measured) load, key bool) {
		value := func(x load, v float64) *report.Value {
			if x.rate == 0 {
				return nil
			}
			return report.Just(v)
		}
		for _, row := range []struct {
			name string
			unit report.Unit
			of   func(load) float64
		}{
			{"pods bound", report.PerSecond, func(x load) float64 { return x.rate }},
			{"CPU of one", report.Millis, func(x load) float64 { return report.Ms(x.cpu)[0] / float64(x.pods) }},
			{"the client's own CPU for it", report.Millis, func(x load) float64 { return report.Ms(x.client)[0] / float64(x.pods) }},
		} {
			r.Add(report.Row{Group: group, Name: row.name, Unit: row.unit, More: row.unit == report.PerSecond, Key: key && row.unit == report.PerSecond,
				Ours: value(of(m[0]), row.of(of(m[0]))), Theirs: value(of(m[1]), row.of(of(m[1])))})
		}
	}
	many(fmt.Sprintf("%d pods that waited, %d nodes, after the first fifth", c.backlog, c.nodes), func(x measured) load { return x.backlog }, true)
	many(fmt.Sprintf("%d pods that %d clients created", c.burst, c.clients), func(x measured) load { return x.burst }, false)
	group := "one after another"
	r.Add(report.Row{Group: group, Name: "create to bound, p50", Unit: report.Millis, Ours: report.Median(report.Ms(m[0].one...)), Theirs: report.Median(report.Ms(m[1].one...))})
	r.Add(report.Row{Group: group, Name: "create to bound, p99", Unit: report.Millis, Ours: report.Quantile(0.99, report.Ms(m[0].one...)).Bare(),
		Theirs: report.Quantile(0.99, report.Ms(m[1].one...)).Bare()})
	if row := (report.Row{Group: group, Name: "memory of all programs at the end, PSS", Unit: report.Megabytes, Ours: report.Just(report.MB(m[0].now))}); m[1].now != 0 {
		row.Theirs = report.Just(report.MB(m[1].now))
		r.Add(row)
	} else if c.alone {
		r.Add(row)
	}
}
