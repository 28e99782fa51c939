// Command peer measures start and rest of ours beside upstream's: how long until the API is ready and until the node is,
// in turns, and then, both running at the same time with nothing to do, their memory (PSS) and CPU.
//
//	go run ./bench/peer [-minato bin/minato] [-upstream DIR] [-cni DIR] [-hello bin/minato-hello] [-runs 3] [-settle 20s] [-for 60s]
//
// bench/start and bench/idle look closer at ours alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/sides"
	"minato.dev/minato/bench/upstream"
)

// config is the command line.
type config struct {
	sides.Flags
	node           upstream.NodeConfig
	runs           int
	settle, window time.Duration
}

func main() {
	var c config
	c.Register()
	flag.StringVar(&c.node.CNI, "cni", "/usr/lib/cni", "folder of the CNI plugins for upstream (Debian: containernetworking-plugins)")
	flag.StringVar(&c.node.Program, "hello", "bin/minato-hello", "the program of the image minato.local/hello")
	flag.IntVar(&c.runs, "runs", 3, "how often to start each")
	flag.DurationVar(&c.settle, "settle", 20*time.Second, "how long to leave both alone before measuring")
	flag.DurationVar(&c.window, "for", time.Minute, "how long to measure them at rest")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "bench/peer:", err)
		os.Exit(1)
	}
}

func (c config) ours(ctx context.Context) (*sides.Side, error) { return sides.Ours(ctx, c.Minato, nil) }

func (c config) theirs(ctx context.Context) (*sides.Side, error) {
	return sides.UpstreamNode(ctx, c.Upstream, c.node)
}

func compare(ctx context.Context, c config) error {
	starts := [2]func(context.Context) (*sides.Side, error){c.ours, c.theirs}
	var api, node, used [2][]time.Duration
	for range c.runs {
		for i, start := range starts {
			s, err := start(ctx)
			if err != nil {
				return err
			}
			cpu, err := s.Cgroup.CPU()
			if err := errors.Join(err, s.Close()); err != nil {
				return err
			}
			api[i], node[i], used[i] = append(api[i], s.API), append(node[i], s.Node), append(used[i], cpu)
		}
	}
	rows := [][]string{{"", "ours", "upstream", "ratio", "to reach"}}
	for _, r := range []struct {
		name, reach string
		of          [2][]time.Duration
	}{{"start to API ready", "0.5 s", api}, {"start to node Ready (ours: and DNS)", "1 s", node}, {"CPU until then", "", used}} {
		a, b := measure.Median(r.of[0]), measure.Median(r.of[1])
		rows = append(rows, []string{r.name, seconds(a), seconds(b), sides.Ratio(a, b), r.reach})
	}
	rest, err := atRest(ctx, c)
	if err != nil {
		return err
	}
	fmt.Printf("Start (medians of %d, in turns) and rest (over %v) of a whole node; %s.\n\n", c.runs, c.window, measure.Load())
	measure.Table(os.Stdout, append(rows, rest...))
	return nil
}

// atRest runs both and leaves them alone.
func atRest(ctx context.Context, c config) (rows [][]string, err error) {
	ours, err := c.ours(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := c.theirs(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	both := []*sides.Side{ours, theirs}
	var cpu [2]time.Duration
	var memory [2]int64
	wait(ctx, c.settle)
	for i, s := range both {
		if cpu[i], err = s.Cgroup.CPU(); err != nil {
			return nil, err
		}
	}
	wait(ctx, c.window)
	for i, s := range both {
		after, err := s.Cgroup.CPU()
		if err != nil {
			return nil, err
		}
		cpu[i] = after - cpu[i]
		if memory[i], _, err = s.Memory(); err != nil {
			return nil, err
		}
	}
	percent := func(i int) string { return fmt.Sprintf("%.2f %%", 100*cpu[i].Seconds()/c.window.Seconds()) }
	mb := func(i int) string { return fmt.Sprintf("%.0f MB", float64(memory[i])/1e6) }
	return [][]string{
		{"memory at rest, PSS of all processes", mb(0), mb(1), fmt.Sprintf("%.1fx", float64(memory[1])/float64(memory[0])), "120 MB"},
		{"CPU at rest, of a core", percent(0), percent(1), sides.Ratio(cpu[0], cpu[1]), "0.5 %"},
	}, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
