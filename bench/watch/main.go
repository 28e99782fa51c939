// Command watch measures what it costs the servers to tell many watchers of every change, ours and upstream's
// kube-apiserver with etcd, in turns, with the same client.
//
//	go run ./bench/watch [-json FILE] [-minato bin/minato] [-upstream DIR] [-for 4s] [-rounds 3]
//
// Each watcher has a TLS connection of its own, as kubelets have, and watches all ConfigMaps of a namespace. Writers
// replace ConfigMaps of 1 KB at a steady pace; each carries the time at which it was sent. Server CPU is that of all
// processes in the side's network namespace, the writes included. Writers and watchers are lean ones (sides.Conn): the machine is
// the servers', and what a client does to read an event is not in its latency.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

func main() {
	var f sides.Flags
	f.Register()
	window := flag.Duration("for", 4*time.Second, "how long writers write in each round")
	rounds := flag.Int("rounds", 3, "rounds, ours and upstream's in turns")
	report.Main(report.Result{Bench: "watch", Title: "Watch fan-out", About: "ConfigMaps of 1 KB are replaced at a steady pace while watchers of their namespace, each " +
		"on a TLS connection of its own, receive every change; in turns, medians over rounds. Latency is from before the write until a watcher has read the event. A watch that the server ends goes on after its last event. The client sends what Go's does, and decodes nothing."},
		func(ctx context.Context, r *report.Result) error { return fanOut(ctx, f, *window, *rounds, r) })
}

// crowds are who watches what: reach is how many times upstream's deliveries a second of CPU ours are to be.
var crowds = []struct {
	watchers, events int // events a second
	format           format
	reach            float64
}{
	{100, 500, inProtobuf, 4},
	{100, 500, inJSON, 4},
	{1000, 100, inProtobuf, 4},
	{1000, 100, inJSON, 4},
}

func fanOut(ctx context.Context, f sides.Flags, window time.Duration, rounds int, r *report.Result) (err error) {
	both, err := sides.Both(ctx, f, nil)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, s := range both {
		if err := prepare(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	for _, c := range crowds {
		var found [2]outcome
		for range rounds {
			for i, s := range both {
				if err := measureOnce(ctx, s, c.watchers, c.events, c.format, window, &found[i]); err != nil {
					return fmt.Errorf("%s: %d watchers: %w", s.Name, c.watchers, err)
				}
			}
		}
		group := fmt.Sprintf("%d watchers of %d events a second, %s", c.watchers, c.events, c.format.name)
		r.Add(report.Row{Group: group, Name: "deliveries for a second of server CPU", Unit: report.Count, More: true, Key: true, Reach: report.Reach{Ratio: c.reach},
			Ours: report.Median(found[0].perCPU), Theirs: report.Median(found[1].perCPU)})
		r.Add(report.Row{Group: group, Name: "latency, p99", Unit: report.Millis, Reach: report.Reach{Ratio: 1}, Ours: percentile(found[0].latency, 99), Theirs: percentile(found[1].latency, 99)})
		r.Add(report.Row{Group: group, Name: "watches that the server ended", Unit: report.Count, Ours: report.Just(float64(found[0].resumed)), Theirs: report.Just(float64(found[1].resumed))})
		r.Add(report.Row{Group: group, Name: "latency, p50", Unit: report.Millis, Ours: percentile(found[0].latency, 50), Theirs: percentile(found[1].latency, 50)})
	}
	return sides.AddMemory(r, both...)
}

// outcome is what all rounds of one crowd found.
type outcome struct {
	perCPU  []float64 // deliveries for a second of server CPU, one a round
	latency []float64 // of every delivery, in milliseconds
	resumed int       // watches that the server ended, and that went on
}

func percentile(all []float64, p int) *report.Value {
	if len(all) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(all))
	return report.Just(s[(len(s)-1)*p/100])
}
