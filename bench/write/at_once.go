package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

const clients = 32

// atOnce measures how many ConfigMaps a second many clients, each on a connection of its own, can create together.
func atOnce(ctx context.Context, both []*sides.Side, rounds, n int, r *report.Result) error {
	var rate, cpu [2][]float64
	for turn := range rounds {
		for i, s := range both {
			before, err := s.CPU()
			if err != nil {
				return err
			}
			began := time.Now()
			if err := together(ctx, s, turn, n); err != nil {
				return fmt.Errorf("%s: %d clients: %w", s.Name, clients, err)
			}
			took := time.Since(began)
			after, err := s.CPU()
			if err != nil {
				return err
			}
			rate[i], cpu[i] = append(rate[i], float64(n)/took.Seconds()), append(cpu[i], report.Ms((after - before) / time.Duration(n))[0])
		}
	}
	group := fmt.Sprintf("create, %d clients at once", clients)
	r.Add(report.Row{Group: group, Name: "a second", Unit: report.PerSecond, More: true, Key: true, Reach: report.Reach{Ratio: 3}, Ours: report.Median(rate[0]), Theirs: report.Median(rate[1])})
	r.Add(report.Row{Group: group, Name: "server CPU of one", Unit: report.Millis, Ours: report.Median(cpu[0]), Theirs: report.Median(cpu[1])})
	return nil
}

func together(ctx context.Context, s *sides.Side, turn, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	for w := range clients {
		g.Go(func() error {
			c := s.Client(false)
			defer c.CloseIdleConnections()
			for i := w; i < n; i += clients {
				if err := create(ctx, c, s.URL, fmt.Sprintf("together-%d-%d", turn, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
