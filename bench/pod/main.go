// Command pod measures how long a pod takes from its creation until a watch shows it Running and Ready, its image being
// present, and what that costs, on ours and on upstream's (controller manager, scheduler, kubelet, containerd, runc,
// CNI bridge): one after another in turns, then many at once.
//
//	go run ./bench/pod [-minato bin/minato] [-upstream DIR] [-cni DIR] [-hello bin/minato-hello] [-n 30] [-burst 20]
//
// Both run the same image. CPU is all that the side used, containers and helpers included, from the creation until the
// pod has been deleted again, over the number of pods.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/sides"
	"minato.dev/minato/bench/upstream"
)

func main() {
	var f sides.Flags
	var node upstream.NodeConfig
	f.Register()
	flag.StringVar(&node.CNI, "cni", "/usr/lib/cni", "folder of the CNI plugins for upstream (Debian: containernetworking-plugins)")
	flag.StringVar(&node.Program, "hello", "bin/minato-hello", "the program of the image minato.local/hello")
	n := flag.Int("n", 30, "pods one after another")
	burst := flag.Int("burst", 20, "pods at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := pods(ctx, f, node, *n, *burst); err != nil {
		fmt.Fprintln(os.Stderr, "bench/pod:", err)
		os.Exit(1)
	}
}

// result is what one side took.
type result struct {
	one         []time.Duration // each pod of those one after another
	cpu         time.Duration   // all of those
	burst       time.Duration   // until the last of the burst was Ready
	burstCPU    time.Duration
	gone        []time.Duration // from deletion until the watch shows it gone
	now, peak   int64           // memory of the servers with the burst's pods running
	burstMedian time.Duration
}

func pods(ctx context.Context, f sides.Flags, node upstream.NodeConfig, n, burst int) (err error) {
	ours, err := sides.Ours(ctx, f.Minato, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := sides.UpstreamNode(ctx, f.Upstream, node)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	both := []*sides.Side{ours, theirs}
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
	for p := range n {
		for i := range both {
			if err := w[i].one(ctx, fmt.Sprintf("one-%d", p), time.Minute, &res[i]); err != nil {
				return err
			}
		}
	}
	for i := range both {
		if err := w[i].burst(ctx, burst, &res[i]); err != nil {
			return err
		}
	}
	report(res, n, burst)
	return nil
}

func report(r [2]result, n, burst int) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }
	row := func(name, reach string, of func(r *result) time.Duration) []string {
		a, b := of(&r[0]), of(&r[1])
		return []string{name, ms(a), ms(b), sides.Ratio(a, b), reach}
	}
	rows := [][]string{{"pod", "ours", "upstream", "ratio", "to reach"},
		row("create to Ready, p50", "100 ms", func(r *result) time.Duration { return measure.Median(r.one) }),
		row("create to Ready, p99", "", func(r *result) time.Duration { return slices.Sorted(slices.Values(r.one))[len(r.one)*99/100] }),
		row("delete (grace 1 s) to gone, p50", "", func(r *result) time.Duration { return measure.Median(r.gone) }),
		row("CPU of one, created and deleted", "", func(r *result) time.Duration { return r.cpu / time.Duration(n) }),
		row(fmt.Sprintf("%d at once, the median Ready", burst), "", func(r *result) time.Duration { return r.burstMedian }),
		row(fmt.Sprintf("%d at once, the last Ready", burst), "", func(r *result) time.Duration { return r.burst }),
		row(fmt.Sprintf("CPU of one of %d, created", burst), "", func(r *result) time.Duration { return r.burstCPU / time.Duration(burst) }),
		{fmt.Sprintf("servers' memory with %d pods, PSS / peak RSS, MB", burst), fmt.Sprintf("%d / %d", r[0].now/1e6, r[0].peak/1e6),
			fmt.Sprintf("%d / %d", r[1].now/1e6, r[1].peak/1e6), "", ""},
	}
	fmt.Printf("Pods with an image that is present, %d one after another in turns, then %d at once; %s.\n\n", n, burst, measure.Load())
	measure.Table(os.Stdout, rows)
}
