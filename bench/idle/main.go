// Command idle measures what a cluster costs that nobody uses: memory (PSS), CPU, wake-ups and bytes written of every
// process of a one-node cluster in a network namespace of its own.
//
//	go run ./bench/idle [-minato bin/minato] [-settle 20s] [-for 60s]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"minato.dev/minato/bench/measure"
)

// What the figures should reach.
const (
	maxPSS = 120e6
	maxCPU = 0.5 // percent of a core
)

func main() {
	program := flag.String("minato", "bin/minato", "the program to measure")
	settle := flag.Duration("settle", 20*time.Second, "how long to leave the cluster alone before measuring")
	window := flag.Duration("for", time.Minute, "how long to measure")
	flag.Parse()
	if err := idle(context.Background(), *program, *settle, *window); err != nil {
		fmt.Fprintln(os.Stderr, "bench/idle:", err)
		os.Exit(1)
	}
}

func idle(ctx context.Context, program string, settle, window time.Duration) (err error) {
	c, err := measure.NewCluster(ctx, program, "idle")
	if err != nil {
		return err
	}
	defer func() {
		if end := c.Close(); err == nil {
			err = end
		}
	}()
	if err := measure.Output(c.Up(ctx)); err != nil {
		return err
	}
	time.Sleep(settle)
	before, err := c.Net.Processes()
	if err != nil {
		return err
	}
	time.Sleep(window)
	after, err := c.Net.Processes()
	if err != nil {
		return err
	}
	report(measure.Since(before, after), settle, window)
	return nil
}

func report(ps []measure.Process, settle, window time.Duration) {
	rows := [][]string{{"process", "PSS MB", "of it anonymous", "CPU % of a core", "wake-ups/s", "written KB"}}
	total := measure.Total(ps)
	for _, p := range append(ps, total) {
		rows = append(rows, []string{p.Name, mb(p.PSS), mb(p.Anon), fmt.Sprintf("%.2f", percent(p.CPU, window)),
			fmt.Sprintf("%.1f", float64(p.Wakeups)/window.Seconds()), fmt.Sprint(p.Written >> 10)})
	}
	rows = append(rows, []string{"to reach", mb(maxPSS), "", fmt.Sprint(maxCPU), "", "leases only"})
	fmt.Printf("Idle one-node cluster, %v after its start, over %v; %s.\n\n", settle, window, measure.Load())
	measure.Table(os.Stdout, rows)
}

func mb(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }

func percent(cpu, window time.Duration) float64 { return 100 * cpu.Seconds() / window.Seconds() }
