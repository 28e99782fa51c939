// Command pod measures how long a pod takes from its creation until a watch shows it Running and Ready, its image being
// present, and what that costs, on ours and on upstream's (controller manager, scheduler, kubelet, containerd, runc,
// CNI bridge): one after another in turns, then many at once.
//
//	go run ./bench/pod [-json FILE] [-minato bin/minato] [-upstream DIR] [-cni DIR] [-hello bin/minato-hello] [-n 30] [-burst 20]
//
// Both run the same image. CPU is all that the side used, containers and helpers included, from the creation until the
// pod has been deleted again, over the number of pods.
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
	node     upstream.NodeConfig
	n, burst int
}

func main() {
	var c config
	c.Register()
	sides.RegisterNode(&c.node)
	flag.IntVar(&c.n, "n", 30, "pods one after another")
	flag.IntVar(&c.burst, "burst", 20, "pods at once")
	report.Main(report.Result{Bench: "pod", Title: "Pods", About: "From the creation until a watch of the same client shows the pod Running and Ready, its image being present: " +
		"one after another in turns, then many at once. Upstream is the whole control plane, kubelet, containerd with runc and CNI bridge, kube-proxy and CoreDNS. " +
		"CPU is all that the side used, containers and helpers included; the client's own is apart."}, c.run)
}

// result is what one side took.
type result struct {
	one         []time.Duration // each pod of those one after another
	cpu         time.Duration   // all of those
	burst       time.Duration   // until the last of the burst was Ready
	burstCPU    time.Duration
	gone        []time.Duration // from deletion until the watch shows it gone
	now, peak   int64           // memory of the servers with the burst's pods running
	client      time.Duration   // CPU of this client for those one after another
	burstMedian time.Duration
}

func (c *config) run(ctx context.Context, r *report.Result) (err error) {
	both, err := sides.BothNodes(ctx, c.Flags, c.node)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	var res [2]result
	var w [2]*watch
	for i, s := range both {
		if err := s.Exists(ctx, "/api/v1/namespaces/default/serviceaccounts/default"); err != nil {
			return err
		}
		if w[i], err = follow(ctx, s); err != nil {
			return err
		}
		defer w[i].close()
		if err := w[i].one(ctx, "warm", time.Minute, &result{}); err != nil {
			return fmt.Errorf("%s: first pod: %w: %s", s.Name, err, s.Words())
		}
	}
	defer func() { c.rows(r, res) }() // what there is, also after a failure
	for p := range c.n {
		for i := range both {
			if err := w[i].one(ctx, fmt.Sprintf("one-%d", p), time.Minute, &res[i]); err != nil {
				return err
			}
		}
	}
	for i := range both {
		if err := w[i].burst(ctx, c.burst, &res[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c config) rows(r *report.Result, res [2]result) {
	row := func(name string, of func(r result) *report.Value) *report.Row {
		r.Add(report.Row{Name: name, Unit: report.Millis, Ours: of(res[0]), Theirs: of(res[1])})
		return &r.Rows[len(r.Rows)-1]
	}
	each := func(d time.Duration, n int) *report.Value {
		if n == 0 || d == 0 {
			return nil
		}
		return report.Just(report.Ms(d / time.Duration(n))[0])
	}
	first := row("create to Ready, p50", func(x result) *report.Value { return report.Median(report.Ms(x.one...)) })
	first.Reach.Figure, first.Key = 100, true
	row("create to Ready, p99", func(x result) *report.Value { return report.Quantile(0.99, report.Ms(x.one...)).Bare() })
	row("delete (grace 1 s) to gone, p50", func(x result) *report.Value { return report.Median(report.Ms(x.gone...)) })
	row("CPU of one, created and deleted", func(x result) *report.Value { return each(x.cpu, len(x.one)) }).Key = true
	row("the client's own CPU for it", func(x result) *report.Value { return each(x.client, len(x.one)) })
	at := len(r.Rows)
	row("the median one Ready", func(x result) *report.Value { return each(x.burstMedian, 1) })
	row("the last one Ready", func(x result) *report.Value { return each(x.burst, 1) }).Key = true
	row("CPU of one, created", func(x result) *report.Value { return each(x.burstCPU, c.burst) })
	megabytes := func(n int64) *report.Value {
		if n == 0 {
			return nil
		}
		return report.Just(report.MB(n))
	}
	row("memory of all programs with the pods, PSS", func(x result) *report.Value { return megabytes(x.now) }).Unit = report.Megabytes
	row("the most that they held, RSS", func(x result) *report.Value { return megabytes(x.peak) }).Unit = report.Megabytes
	for i := range r.Rows[at:] {
		r.Rows[at+i].Group = fmt.Sprintf("%d at once", c.burst)
	}
}
