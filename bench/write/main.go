// Command write measures what it costs the servers to create and to get a ConfigMap of 1 KB, ours and upstream's
// kube-apiserver with etcd, in turns, over TLS and HTTP/2, with the same client.
//
//	go run ./bench/write [-json FILE] [-minato bin/minato] [-upstream DIR] [-rounds 7] [-n 500]
//
// Server CPU is that of all processes in the side's network namespace: for ours the whole one-node cluster, whose
// controllers see the writes too; for upstream's kube-apiserver and etcd.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

func main() {
	var f sides.Flags
	f.Register()
	rounds := flag.Int("rounds", 7, "rounds, ours and upstream's in turns")
	n := flag.Int("n", 500, "ConfigMaps a round")
	report.Main(report.Result{Bench: "write", Title: "Writes and reads of one object", About: "ConfigMaps of 1 KB one after another, JSON over HTTP/2 and TLS, in turns. " +
		"CPU is the median of the rounds; times are of every request. Ours is the whole one-node cluster, whose controllers see the writes too; upstream's is kube-apiserver and etcd alone. " +
		"The 32 clients at once are connected before the clock starts, send what Go's client sends and decode nothing, so that the machine is the servers'."},
		func(ctx context.Context, r *report.Result) error { return write(ctx, f, *rounds, *n, r) })
}

// result is what one operation cost in each round; wall holds every operation.
type result struct{ server, client, wall []time.Duration }

func write(ctx context.Context, f sides.Flags, rounds, n int, r *report.Result) (err error) {
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
		if err := preparePod(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	results := make([][2]result, len(verbs))
	for turn := range rounds + 1 {
		for i, s := range both {
			for v, verb := range verbs {
				into := &results[v][i]
				if turn == 0 {
					into = &result{} // the first round warms up
				}
				if err := round(ctx, s, turn, n, verb, into); err != nil {
					return fmt.Errorf("%s: %s: %w", s.Name, verb.name, err)
				}
			}
		}
	}
	for v, verb := range verbs {
		a, b := results[v][0], results[v][1]
		add := func(name string, of func(result) *report.Value) *report.Row {
			r.Add(report.Row{Group: verb.name, Name: name, Unit: report.Millis, Ours: of(a), Theirs: of(b)})
			return &r.Rows[len(r.Rows)-1]
		}
		cpu := add("server CPU", func(x result) *report.Value { return report.Median(report.Ms(x.server...)) })
		cpu.Reach.Ratio, cpu.Key = verb.reach, verb.reach > 0
		add("time, p50", func(x result) *report.Value { return report.Median(report.Ms(x.wall...)) })
		add("time, p99", func(x result) *report.Value { return report.Quantile(0.99, report.Ms(x.wall...)).Bare() })
		add("the client's CPU", func(x result) *report.Value { return report.Median(report.Ms(x.client...)) })
	}
	if err := atOnce(ctx, both, rounds, 8*n, r); err != nil {
		return err
	}
	return sides.AddMemory(r, both...)
}

func round(ctx context.Context, s *sides.Side, r, n int, v verb, into *result) error {
	c := s.Client(false)
	defer c.CloseIdleConnections()
	cpu, err := s.CPU()
	if err != nil {
		return err
	}
	own := sides.Own()
	for i := range n {
		began := time.Now()
		if err := v.do(ctx, c, s.URL, fmt.Sprintf("bench-%d-%d", r, i)); err != nil {
			return err
		}
		into.wall = append(into.wall, time.Since(began))
	}
	client := sides.Own() - own
	after, err := s.CPU()
	into.server, into.client = append(into.server, (after-cpu)/time.Duration(n)), append(into.client, client/time.Duration(n))
	return err
}
