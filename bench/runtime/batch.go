package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// atOnce is how many pods are on their way together.
const atOnce = 4

// batches counts whole lives of pods in a second, on one side and then on the other.
func (c *config) batches(ctx context.Context, both [2]*side, res *[2]result) error {
	for k, s := range both {
		began := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(atOnce)
		for range c.batch {
			g.Go(func() error {
				p, err := s.start(ctx)
				if err != nil {
					return err
				}
				return s.remove(ctx, p)
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		res[k].perSecond = float64(c.batch) / time.Since(began).Seconds()
	}
	return nil
}
